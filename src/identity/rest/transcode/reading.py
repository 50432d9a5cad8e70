"""From JSON to messages: a field that the contract does not know or a value of another type is a fault with a name.

Stricter than the proto3 JSON mapping, which would take `"5"` for 5, any spelling of a field and the numbers of enums.
`null` counts as absent, as everywhere in that mapping. Fields at fault are told as the contract spells them.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import inf, isfinite
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value

from identity.rest.refusals import Violation, invalid
from identity.rest.strict_json import spell

Faults = list[Violation]
Read = Callable[[Any, str, Faults], Any]
M = TypeVar("M", bound=Message)

_SIGNED_32 = {FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SFIXED32}


class WrongType(Exception):
    """A value is of a type that its field has not; the text says which it has."""


def read(message: type[M], members: Mapping[str, Any]) -> M:
    """A message from the members of a JSON object. Raises a Refusal that names every field at fault."""
    faults: Faults = []
    made: M = reader(message.DESCRIPTOR)(members, "", faults)
    if faults:
        raise invalid("The request is not valid.", *faults)
    return made


def read_text(field: FieldDescriptor, text: str, faults: Faults) -> Any:
    """The value of a field from a path or a query, where everything is text."""
    value: Any = text
    if field.type == FieldDescriptor.TYPE_BOOL:
        value = {"true": True, "false": False}.get(text, text)
    elif field.cpp_type in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_INT32):
        value = int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else text
    return _checked(_scalar(field), value, field.name, faults)


@cache
def reader(descriptor: Descriptor) -> Read:
    """The converter of a message type: of a JSON value, its path, and a list for what is wrong with it."""
    if special := _SPECIAL.get(descriptor.full_name):
        return special
    make = GetMessageClass(descriptor)
    fields: dict[str, tuple[str, str, Read]] = {}

    def convert(members: Any, path: str, faults: Faults) -> Message:
        if not isinstance(members, dict):
            raise WrongType("an object")
        values: dict[str, Any] = {}
        oneofs: dict[str, str] = {}
        for key, value in members.items():
            if (found := fields.get(key)) is None:
                faults.append(Violation(_join(path, spell(key)), "There is no such field.", "UNKNOWN_FIELD"))
                continue
            name, oneof, convert_value = found
            if value is None:
                continue
            if oneof and oneofs.setdefault(oneof, name) != name:
                faults.append(Violation(_join(path, name), f"Only one of {oneof} can be given.", "ONEOF"))
                continue
            values[name] = _checked(convert_value, value, _join(path, name), faults)
        return make(**values) if not faults else make()

    _under_way[descriptor.full_name] = convert
    for each in descriptor.fields:
        oneof = each.containing_oneof
        fields[each.json_name] = (
            each.name,
            oneof.name if oneof and not oneof.name.startswith("_") else "",
            _field(each),
        )
    return convert


_under_way: dict[str, Read] = {}


def _checked(convert: Read, value: Any, path: str, faults: Faults) -> Any:
    try:
        return convert(value, path, faults)
    except WrongType as error:
        faults.append(Violation(path, f"The value has to be {error}.", "WRONG_TYPE"))
        return None


def _field(field: FieldDescriptor) -> Read:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return _map(_scalar(field.message_type.fields_by_name["value"]))
    return _list(_scalar(field)) if field.is_repeated else _scalar(field)


def _list(each: Read) -> Read:
    def convert(values: Any, path: str, faults: Faults) -> Sequence[Any]:
        if not isinstance(values, list):
            raise WrongType("a list")
        return [_checked(each, value, f"{path}[{n}]", faults) for n, value in enumerate(values)]

    return convert


def _map(each: Read) -> Read:
    def convert(members: Any, path: str, faults: Faults) -> Mapping[str, Any]:
        if not isinstance(members, dict):
            raise WrongType("an object")
        return {
            _text(key, path, faults): _checked(each, value, f'{path}["{spell(key)}"]', faults)
            for key, value in members.items()
        }

    return convert


def _scalar(field: FieldDescriptor) -> Read:
    if field.message_type is not None:
        return _under_way.get(field.message_type.full_name) or reader(field.message_type)
    if field.enum_type is not None:
        return _enum(field.enum_type)
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_BOOL:
            return _of_type(bool, "true or false")
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return _bytes
        case FieldDescriptor.CPPTYPE_STRING:
            return _text
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return _number
        case _:
            signed = field.type in _SIGNED_32
            return _whole(-(2**31), 2**31) if signed else _whole(0, 2**32)


def _of_type(wanted: type, name: str) -> Read:
    def convert(value: Any, path: str, faults: Faults) -> Any:
        if type(value) is not wanted:
            raise WrongType(name)
        return value

    return convert


def _whole(lowest: int, end: int) -> Read:
    def convert(value: Any, path: str, faults: Faults) -> int:
        if type(value) is not int or not lowest <= value < end:
            raise WrongType(f"a whole number from {lowest} to {end - 1}")
        return value

    return convert


def _text(value: Any, path: str, faults: Faults) -> str:
    if type(value) is not str:
        raise WrongType("a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise WrongType("a string without lone surrogates") from None
    return value


def _number(value: Any, path: str, faults: Faults) -> float:
    if type(value) not in (int, float):
        raise WrongType("a number")
    return _double(value)


def _double(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = inf
    if not isfinite(number):
        raise WrongType("a number that a double holds")
    return number


def _bytes(value: Any, path: str, faults: Faults) -> bytes:
    try:
        return b64decode(_text(value, path, faults), validate=True)
    except ValueError:
        raise WrongType("a string in base64") from None


def _enum(descriptor: EnumDescriptor) -> Read:
    numbers = {value.name: value.number for value in descriptor.values}

    def convert(value: Any, path: str, faults: Faults) -> int:
        if type(value) is not str or value not in numbers:
            raise WrongType(f"one of the names of {descriptor.name}")
        return numbers[value]

    return convert


def _field_mask(value: Any, path: str, faults: Faults) -> FieldMask:
    mask = FieldMask()
    try:
        mask.FromJsonString(_text(value, path, faults))
    except ValueError:
        raise WrongType("names of fields in lowerCamelCase, separated by commas") from None
    return mask


def _struct(value: Any, path: str, faults: Faults) -> Struct:
    if not isinstance(value, dict):
        raise WrongType("an object")
    return Struct(fields={_text(key, path, faults): _value(each, path, faults) for key, each in value.items()})


def _value(value: Any, path: str, faults: Faults) -> Value:
    if value is None:
        return Value(null_value=NULL_VALUE)
    if isinstance(value, bool):
        return Value(bool_value=value)
    if isinstance(value, str):
        return Value(string_value=_text(value, path, faults))
    if isinstance(value, dict):
        return Value(struct_value=_struct(value, path, faults))
    if isinstance(value, list):
        return Value(list_value=ListValue(values=[_value(each, path, faults) for each in value]))
    return Value(number_value=_double(value))


def _moment(value: Any, path: str, faults: Faults) -> Message:
    raise WrongType("absent: no request of the contract has one")


_SPECIAL: dict[str, Read] = {
    "google.protobuf.FieldMask": _field_mask,
    "google.protobuf.Struct": _struct,
    "google.protobuf.Value": _value,
    "google.protobuf.Timestamp": _moment,
    "google.protobuf.Duration": _moment,
}


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
