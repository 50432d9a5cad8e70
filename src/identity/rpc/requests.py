"""From bytes to a request that keeps the rules of the contract; nothing else reaches a servicer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

import protovalidate
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from identity.domain.errors import InvalidRequest
from identity.rpc.errors import FieldViolation, InvalidFields

M = TypeVar("M", bound=Message)

_MALFORMED: Final = "The request cannot be read."
_NUL: Final = FieldViolation("", "must not contain a NUL character", "STRING_NUL")

# An answer lists some violations of a request written by hand, and the first one of anything bigger: a report about
# thousands of bad elements would cost us more than it cost to send, and would not fit in the client's metadata.
_REPORTED: Final = 16
_BIG: Final = 2048
_DESCRIPTION_LENGTH: Final = 200


def compile_rules(services: Iterable[str]) -> None:
    """Compiles the rules of every request of these services (full names), so that no call waits for it.

    Raises `protovalidate.CompilationError` for a rule that makes no sense.
    """
    for service in map(Default().FindServiceByName, services):
        for method in service.methods:
            protovalidate.collect_violations(GetMessageClass(method.input_type)())


def parse(raw: bytes, from_bytes: Callable[[bytes], M]) -> M:
    """Reads a message; malformed bytes, bad UTF-8 and nesting beyond 100 raise `InvalidRequest`.

    So does a NUL in any string: PostgreSQL cannot store it, and C libraries end strings there (M16).
    """
    try:
        request = from_bytes(raw)
    except DecodeError:
        raise InvalidRequest(_MALFORMED) from None
    # Most requests have no zero byte at all, so that the walk is rare.
    if b"\0" in raw and (field := next(_nul_fields(request), None)):
        raise InvalidFields([_NUL._replace(field=field)])
    return request


def validate(request: Message, size: int) -> None:
    """Checks the rules of the contract; `size` is that of the request in bytes.

    Raises `InvalidFields`, which names the fields and the rules and never a value.
    """
    violations = protovalidate.collect_violations(request, fail_fast=size > _BIG)
    if violations:
        raise InvalidFields([_describe(violation) for violation in violations[:_REPORTED]])


def _describe(violation: protovalidate.Violation) -> FieldViolation:
    proto = violation.proto
    return FieldViolation(
        ".".join(_element(element) for element in (proto.field.elements if proto.field else ())),
        proto.message[:_DESCRIPTION_LENGTH],
        proto.rule_id.upper().replace(".", "_").replace("-", "_"),
    )


def _element(element: protovalidate.FieldPathElementPb) -> str:
    if element.subscript is None:
        return element.field_name
    # The key of a map is data of the sender; an index is not.
    return f"{element.field_name}[{element.subscript.value if element.subscript.field == 'index' else ''}]"


def _nul_fields(message: Message, prefix: str = "") -> Iterator[str]:
    for field, value in message.ListFields():
        if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_GROUP):
            yield from _nul_in(field, value, prefix + field.name)


def _nul_in(field: FieldDescriptor, value: Any, path: str) -> Iterator[str]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        for key in value:
            yield from _nul_in_value(key, f"{path}[]")
            yield from _nul_in_value(value[key], f"{path}[]")
    elif field.is_repeated:
        for index, item in enumerate(value):
            yield from _nul_in_value(item, f"{path}[{index}]")
    else:
        yield from _nul_in_value(value, path)


def _nul_in_value(value: object, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if "\0" in value:
            yield path
    elif isinstance(value, Message):
        yield from _nul_fields(value, f"{path}.")
