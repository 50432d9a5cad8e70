"""An OpenAPI document as people read it: operations in sections, with the fields of what goes in and comes out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_VERBS = ("get", "post", "put", "patch", "delete")
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a table: a field, how deep it stands, and what it may be."""

    name: str
    depth: int
    kind: str
    required: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back with one status."""

    status: str
    meaning: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path."""

    anchor: str
    method: str
    path: str
    summary: str
    paragraphs: tuple[str, ...]
    errors: tuple[tuple[str, str], ...]
    access: str
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    answers: tuple[Answer, ...]
    example: str


@dataclass(frozen=True, slots=True)
class Section:
    """The operations with one tag."""

    name: str
    about: str
    operations: tuple[Operation, ...]


def sections(document: Mapping[str, Any]) -> list[Section]:
    """The operations of a document by tag, in its order."""
    about = {tag["name"]: tag["description"] for tag in document.get("tags", [])}
    found: dict[str, list[Operation]] = {}
    for path, item in document["paths"].items():
        for verb in _VERBS:
            if operation := item.get(verb):
                tag = next(iter(operation.get("tags", [])), "")
                found.setdefault(tag, []).append(_operation(document, verb, path, operation))
    order = [*about, *(name for name in found if name not in about)]
    return [Section(name, about.get(name, ""), tuple(found[name])) for name in order if name in found]


def _operation(document: Mapping[str, Any], verb: str, path: str, operation: Mapping[str, Any]) -> Operation:
    text, _, errors = operation.get("description", "").partition("Errors:")
    schema = _schema(operation.get("requestBody", {}))
    schemes = [name for scheme in operation.get("security", []) for name in scheme]
    return Operation(
        anchor=operation["operationId"].replace(" ", "-").replace("/", "-"),
        method=verb.upper(),
        path=path,
        summary=operation.get("summary", ""),
        paragraphs=tuple(paragraph for part in text.split("\n\n") if (paragraph := _one_line(part))),
        errors=tuple(_errors(errors)),
        access=f"Needs: {', '.join(schemes)}." if schemes else "Open to everybody.",
        parameters=tuple(_parameters(document, operation)),
        body=tuple(_fields(document, schema)) if schema else (),
        answers=tuple(_answers(document, operation)),
        example=_example(document, verb, path, operation, schema),
    )


def _parameters(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[Field]:
    for parameter in operation.get("parameters", []):
        kind = f"{parameter['in']}, {_kind(document, parameter['schema'])}"
        yield Field(parameter["name"], 0, kind, parameter["required"], _one_line(parameter.get("description", "")))


def _answers(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[Answer]:
    for status, answer in operation["responses"].items():
        if status == "default":
            continue
        schema = _schema(answer)
        fields = tuple(_fields(document, schema)) if schema else ()
        yield Answer(status, _one_line(answer["description"]), fields)


def _schema(holder: Mapping[str, Any]) -> Any:
    """The schema of the first media type of a body or an answer; None where there is none."""
    first: Mapping[str, Any] = next(iter(holder.get("content", {}).values()), {})
    return first.get("schema")


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> Iterator[Field]:
    schema = _resolved(document, schema)
    if "items" in schema:
        schema = _resolved(document, schema["items"])
    for name, each in schema.get("properties", {}).items():
        required = name in schema.get("required", [])
        yield Field(name, depth, _kind(document, each), required, _one_line(each.get("description", "")))
        if depth < _DEEPEST:
            yield from _fields(document, each, depth + 1)


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema behind references and behind "or null"."""
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif choices := [each for each in schema.get("anyOf", []) if each.get("type") != "null"]:
            schema = choices[0]
        else:
            return schema


def _kind(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    schema = _resolved(document, schema)
    if values := [value for value in schema.get("enum", []) if value is not None]:
        return " · ".join(map(str, values))
    if "const" in schema:
        return json.dumps(schema["const"])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        kind = next(each for each in kind if each != "null")
    if kind == "array":
        return f"list of {_kind(document, schema.get('items', {}))}"
    bounds = [f"{word} {schema[key]}" for key, word in (("minLength", "≥"), ("maxLength", "≤")) if key in schema]
    return " ".join([str(schema.get("format", kind)), *bounds])


def _errors(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("- ")[1:]:
        reason, _, meaning = _one_line(line).partition(": ")
        yield reason, meaning


def _example(
    document: Mapping[str, Any], verb: str, path: str, operation: Mapping[str, Any], schema: Mapping[str, Any] | None
) -> str:
    parts = ["curl", *([f"-X {verb.upper()}"] if verb != "get" else [])]
    if operation.get("security"):
        parts.append('-H "authorization: Bearer $TOKEN"')
    if schema is not None:
        needed = _resolved(document, schema)
        body = {name: f"…{name}…" for name in needed.get("required", [])}
        parts += ['-H "content-type: application/json"', f"-d '{json.dumps(body, ensure_ascii=False)}'"]
    return " ".join([*parts, f"$HOST{path}"])


def _one_line(text: str) -> str:
    return " ".join(text.replace("`", "").split())
