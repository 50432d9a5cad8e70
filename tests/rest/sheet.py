"""A page as somebody meets it whose browser runs no script: what it says, and forms to fill in and send."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx

OURS = {"sec-fetch-site": "same-origin"}
"""What a browser says of a form that a page of the same address sent."""


@dataclass
class Form:
    """What it would send as it stands, and its buttons by value; a button without a value has none."""

    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[str] = field(default_factory=list)


class Sheet(HTMLParser):
    """A page that was got by `client`. `alerts` is what it complains of, `faults` the same by field."""

    def __init__(self, client: httpx.AsyncClient, answer: httpx.Response) -> None:
        super().__init__()
        self.client = client
        self.answer = answer
        self.status = answer.status_code
        self.forms: list[Form] = []
        self.title = self.heading = self.text = self.language = ""
        self.alerts: list[str] = []
        self.visible: set[str] = set()
        self.links: list[str] = []
        self._described: dict[str, str] = {}
        self._by_id: dict[str, str] = {}
        self._open: list[tuple[str, dict[str, str]]] = []
        self.feed(answer.text)

    @property
    def faults(self) -> dict[str, str]:
        """The text of what each field at fault refers to."""
        return {
            name: " ".join(self._by_id[part] for part in ids.split() if part.endswith("-fault"))
            for name, ids in self._described.items()
        }

    @property
    def form(self) -> Form:
        """The first form."""
        return self.forms[0]

    async def send(self, button: str = "", **filled: str) -> Sheet:
        """Press a button of the first form that has it, with these fields filled in; the answer."""
        form = next(form for form in self.forms if button in form.buttons)
        assert filled.keys() <= form.fields.keys(), f"the form has only {list(form.fields)}"
        data = {**form.fields, **filled, **({"do": button} if button else {})}
        return Sheet(self.client, await self.client.post(self.answer.url, data=data, headers=OURS))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        match tag:
            case "html":
                self.language = has["lang"]
            case "form":
                self.forms.append(Form())
            case "input":
                self._field(has)
                return
            case "button" if has.get("type") != "button":
                self.forms[-1].buttons.append(has.get("value", ""))
            case "meta" | "link":
                return
        if "href" in has:
            self.links.append(has["href"])
        self._open.append((tag, has))

    def handle_data(self, data: str) -> None:
        words = " ".join(data.split())
        if not words:
            return
        tag, has = self._open[-1] if self._open else ("", {})
        if tag == "title":
            self.title = words
            return
        if tag == "h1":
            self.heading = words
        if has.get("role") == "alert":
            self.alerts.append(words)
        if "id" in has:
            self._by_id[has["id"]] = words
        self.text += f"{words}\n"

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag, f"<{opened}> is closed by </{tag}>"

    def _field(self, has: dict[str, str]) -> None:
        if "name" not in has:
            return
        self.forms[-1].fields[has["name"]] = has.get("value", "")
        if has.get("type") != "hidden":
            self.visible.add(has["name"])
        if has.get("aria-invalid") == "true":
            self._described[has["name"]] = has["aria-describedby"]


async def visit(client: httpx.AsyncClient, path: str, **options: object) -> Sheet:
    """A page that is only looked at."""
    return Sheet(client, await client.get(path, **options))  # type: ignore[arg-type]
