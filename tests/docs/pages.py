"""The pages that people read, and the blocks of code in them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/*/*.md")]
)

_FENCE = re.compile(r"(?P<indent> *)```(?P<language>\w*)")
_NOTE = re.compile(r"<!-- (?P<kind>not run|from):? (?P<text>.+) -->")


@dataclass(frozen=True)
class Block:
    """A block of code. `source` is the file it is a piece of; `excuse` is why it does not run."""

    page: str
    line: int
    language: str
    text: str
    source: str = ""
    excuse: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, one per entry."""
        lines = (line.partition(" #")[0].strip() for line in self.text.replace("\\\n", " ").splitlines())
        return [line for line in lines if line and not line.startswith("#")]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(*languages: str) -> list[Block]:
    """The blocks of every page in these languages; all of them without any."""
    found = [block for page in PAGES for block in _blocks_of(page)]
    return [block for block in found if not languages or block.language in languages]


def _blocks_of(page: str) -> Iterator[Block]:
    lines = iter(enumerate(text_of(page).splitlines(), start=1))
    last = ""
    for number, line in lines:
        fence = _FENCE.fullmatch(line)
        if fence is None:
            last = line.strip() or last
            continue
        body = []
        for _, inside in lines:
            if inside == f"{fence['indent']}```":
                break
            body.append(inside)
        note = _NOTE.fullmatch(last)
        kind, about = (note["kind"], note["text"]) if note else ("", "")
        yield Block(
            page,
            number,
            fence["language"],
            textwrap.dedent("\n".join(body)) + "\n",
            source=about if kind == "from" else "",
            excuse=about if kind == "not run" else "",
        )
        last = ""
