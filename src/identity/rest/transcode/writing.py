"""From messages to JSON, equal to what Envoy's transcoder prints: fields without presence are always there."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

Write = Callable[[Any], Any]
_WIDE = {
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_SINT64,
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_SFIXED64,
}


@cache
def writer(descriptor: Descriptor) -> Write:
    """The converter of a message type."""
    if special := _SPECIAL.get(descriptor.full_name):
        return special
    # Filled below: a type may hold itself.
    fields: list[tuple[str, str, bool, Write]] = []

    def convert(message: Any) -> dict[str, Any]:
        written = {}
        for name, key, may_be_absent, value in fields:
            if not may_be_absent or message.HasField(name):
                written[key] = value(getattr(message, name))
        return written

    _under_way[descriptor.full_name] = convert
    fields += [(each.name, each.json_name, each.has_presence, _field(each)) for each in descriptor.fields]
    return convert


_under_way: dict[str, Write] = {}


def _field(field: FieldDescriptor) -> Write:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        each = _scalar(field.message_type.fields_by_name["value"])
        # Keys are sorted, since a map has no order that could be told twice.
        return lambda mapping: {str(key): each(mapping[key]) for key in sorted(mapping)}
    value = _scalar(field)
    if field.is_repeated:
        return lambda values: [value(item) for item in values]
    return value


def _scalar(field: FieldDescriptor) -> Write:
    if field.message_type is not None:
        return _under_way.get(field.message_type.full_name) or writer(field.message_type)
    if field.enum_type is not None:
        return _enum(field.enum_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda value: b64encode(value).decode()
    return str if field.type in _WIDE else _as_it_is


def _enum(descriptor: EnumDescriptor) -> Write:
    names = {value.number: value.name for value in descriptor.values}
    return lambda number: names.get(number, number)


def _as_it_is(value: Any) -> Any:
    return value


_SPECIAL: dict[str, Write] = {
    "google.protobuf.Timestamp": lambda message: message.ToJsonString(),
    "google.protobuf.Duration": lambda message: message.ToJsonString(),
    "google.protobuf.FieldMask": lambda message: message.ToJsonString(),
    "google.protobuf.Struct": lambda message: {key: _plain(value) for key, value in message.fields.items()},
    "google.protobuf.Value": lambda message: _plain(message),
}


def _plain(value: Any) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return {key: _plain(each) for key, each in value.struct_value.fields.items()}
        case "list_value":
            return [_plain(each) for each in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None
