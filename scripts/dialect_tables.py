"""The table of a dialect's endpoints, from its operations. A library of `tables.py`."""

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import BaseModel

from identity.rest.dialect import Operation, load_dialect


def operations(dialect: str) -> str:
    """Each endpoint of a dialect with what it takes and gives."""
    rows = ["| endpoint | takes | gives |", "|---|---|---|"]
    for operation in load_dialect(dialect).operations:
        endpoint = f"`{operation.method} {operation.path}`<br>{operation.summary}"
        rows.append(f"| {endpoint} | {'<br>'.join(takes(operation))} | {'<br>'.join(gives(operation))} |")
    return "\n".join(rows)


def takes(operation: Operation) -> Iterator[str]:
    for place in ("query", "header", "cookie"):
        if names := [parameter.name for parameter in operation.parameters if parameter.place == place]:
            yield f"{place} {quoted(names)}"
    if operation.body:
        kinds = "JSON or form" if operation.takes_forms else "JSON"
        yield f"{kinds} {quoted(fields(operation.body))}"


def gives(operation: Operation) -> Iterator[str]:
    for status, answer in operation.answers.items():
        if status < 400:
            yield f"{status} {answer if isinstance(answer, str) else quoted(fields(answer))}".strip()
    if refusals := [str(status) for status in operation.answers if status >= 400]:
        yield ", ".join(refusals)


def fields(kind: Any, above: str = "") -> Iterator[str]:
    """The names of a model's fields and, with dots, of the models within; of several models, all of theirs."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        for inner in get_args(kind):
            yield from fields(inner, above)
        return
    for name, field in kind.model_fields.items():
        if name == "root":
            yield from dict.fromkeys(fields(field.annotation, above))
            continue
        path = f"{above}{field.alias or name}"
        yield from list(fields(field.annotation, f"{path}.")) or [path]


def quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
