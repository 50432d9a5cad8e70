"""JSON Schema of the contract's messages, with the rules of buf.validate that JSON Schema can say."""

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

Described = Descriptor | FieldDescriptor | MethodDescriptor | ServiceDescriptor | EnumDescriptor
PACKAGE = "identity.v1"


class Contract:
    """The image with its comments and options, which the generated stubs have not."""

    def __init__(self, image: FileDescriptorSet) -> None:
        self._pool = DescriptorPool()
        self._files = [file for file in image.file if file.package == PACKAGE]
        for file in image.file:
            self._pool.AddSerializedFile(file.SerializeToString())
        self._comments: dict[str, str] = {}
        for file in self._files:
            self._comments.update(_comments(file))

    def services(self) -> Iterator[ServiceDescriptor]:
        """The services in the order in which people meet them."""
        order = ("AuthService", "SessionService", "FactorService", "InviteService", "AccountService", "TenantService")
        found = {
            service.name: service
            for file in self._files
            for service in self._pool.FindFileByName(file.name).services_by_name.values()
        }
        yield from (found[name] for name in sorted(found, key=order.index))

    def comment(self, thing: Described) -> str:
        """The comment above something; empty where there is none."""
        return self._comments.get(thing.full_name, "")

    def http_rules(self, method: MethodDescriptor) -> list[Any]:
        """The bindings of a method, the first one first."""
        rule = self._option(method, "google.api.http")
        return [rule, *rule.additional_bindings]

    def access(self, method: MethodDescriptor) -> str:
        """Who may call, by the name of the enum value."""
        value = self._option(method, f"{PACKAGE}.access")
        return str(self._pool.FindEnumTypeByName(f"{PACKAGE}.Access").values_by_number[value].name)

    def rules(self, field: FieldDescriptor) -> Any:
        """The rules of a field."""
        return self._option(field, "buf.validate.field")

    def message_rules(self, message: Descriptor) -> Any:
        """The rules of a message."""
        return self._option(message, "buf.validate.message")

    def must_be_given(self, oneof: Any) -> bool:
        """Whether one of the fields of a oneof has to be there."""
        return bool(self._option(oneof, "buf.validate.oneof").required)

    def _option(self, thing: Any, name: str) -> Any:
        extension: Any = self._pool.FindExtensionByName(name)
        options = GetMessageClass(extension.containing_type)()
        options.ParseFromString(thing.GetOptions().SerializeToString())
        return options.Extensions[extension]


class Schemas:
    """Schemas by name, made when they are first asked for. `made` holds what stands under components."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self.made: dict[str, Any] = {}

    def request(self, message: Descriptor, *, without: Iterable[str] = ()) -> dict[str, Any]:
        """What a client may send, without the fields that stand in the path."""
        return self._named(message, strict=True, without=tuple(without))

    def reply(self, message: Descriptor) -> dict[str, Any]:
        """What a client reads: fields without presence are always there."""
        return self._named(message, strict=False)

    def required(self, message: Descriptor) -> list[str]:
        """The names of the fields that a request needs."""
        return [field.name for field in message.fields if self._contract.rules(field).required]

    def value(self, field: FieldDescriptor, *, strict: bool = True) -> dict[str, Any]:
        """The schema of one value of a scalar field, or of each of a repeated one."""
        rules = self._contract.rules(field)
        return self._scalar(field, rules.repeated.items if field.is_repeated else rules, strict)

    def _named(self, message: Descriptor, *, strict: bool, without: tuple[str, ...] = ()) -> dict[str, Any]:
        if special := _SPECIAL.get(message.full_name):
            return special
        # What both directions have is told once for each: strict on the way in, complete on the way out.
        name = f"{message.name}Input" if strict and not message.name.endswith("Request") else message.name
        if name not in self.made:
            self.made[name] = {}  # a message may hold itself
            self.made[name] = self._object(message, strict, without)
        return {"$ref": f"#/components/schemas/{name}"}

    def _object(self, message: Descriptor, strict: bool, without: tuple[str, ...]) -> dict[str, Any]:
        fields = [field for field in message.fields if field.name not in without]
        schema: dict[str, Any] = {"type": "object", "description": self._contract.comment(message)}
        schema["properties"] = {field.json_name: self._property(field, strict) for field in fields}
        required = self.required(message) if strict else [f.name for f in fields if not f.has_presence]
        if needed := [field.json_name for field in fields if field.name in required]:
            schema["required"] = needed
        if strict:
            schema["additionalProperties"] = False
            if choices := list(self._choices(message)):
                schema["allOf"] = choices
        return schema

    def _choices(self, message: Descriptor) -> Iterator[dict[str, Any]]:
        """That one field of a group is given, or at most one."""
        for oneof in message.oneofs:
            names = [field.json_name for field in oneof.fields]
            if len(names) > 1:
                yield _one_of(names, required=self._contract.must_be_given(oneof))
        for group in self._contract.message_rules(message).oneof:
            yield _one_of([message.fields_by_name[name].json_name for name in group.fields], required=group.required)

    def _property(self, field: FieldDescriptor, strict: bool) -> dict[str, Any]:
        comment = self._contract.comment(field)
        rules = self._contract.rules(field)
        schema: dict[str, Any]
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value = self._scalar(field.message_type.fields_by_name["value"], rules.map.values, strict)
            schema = {"type": "object", "additionalProperties": value}
            if strict and rules.map.HasField("max_pairs"):
                schema["maxProperties"] = rules.map.max_pairs
                schema["propertyNames"] = _text(rules.map.keys.string)
        elif field.is_repeated:
            schema = {"type": "array", "items": self.value(field, strict=strict)}
            if strict and rules.repeated.HasField("max_items"):
                schema["maxItems"] = rules.repeated.max_items
            if strict and rules.repeated.unique:
                schema["uniqueItems"] = True
        else:
            schema = self.value(field, strict=strict)
        if strict and not rules.required:
            schema = _or_null(schema)
        return {**schema, "description": comment} if comment else schema

    def _scalar(self, field: FieldDescriptor, rules: Any, strict: bool) -> dict[str, Any]:
        if field.message_type is not None:
            return self._named(field.message_type, strict=strict)
        if field.enum_type is not None:
            return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_BOOL:
                return {"type": "boolean"}
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return {"type": "string", "format": "byte"}
            case FieldDescriptor.CPPTYPE_STRING:
                schema = {"type": "string", **(_text(rules.string) if strict else {})}
                if strict and rules.required and "minLength" not in schema and "format" not in schema:
                    schema["minLength"] = 1
                return schema | ({"format": "password"} if "password" in field.name else {})
            case FieldDescriptor.CPPTYPE_UINT32:
                most = rules.uint32.lte if strict and rules.uint32.HasField("lte") else 2**32 - 1
                return {"type": "integer", "minimum": 0, "maximum": most}
        raise TypeError(f"{field.full_name} is of a type that no field had so far")


def _text(rules: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for rule, keyword in (("min_len", "minLength"), ("max_len", "maxLength"), ("pattern", "pattern")):
        if rules.HasField(rule):
            schema[keyword] = getattr(rules, rule)
    if rules.HasField("max_bytes") and "maxLength" not in schema:
        schema["maxLength"] = rules.max_bytes
    if getattr(rules, "in"):
        schema["enum"] = list(getattr(rules, "in"))
    if rules.uuid:
        schema["format"] = "uuid"
    return schema


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The same for a field that may be absent: `null` counts as that."""
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    nullable = {**schema, "type": [schema["type"], "null"]}
    return nullable | ({"enum": [*schema["enum"], None]} if "enum" in schema else {})


def _one_of(names: list[str], *, required: bool) -> dict[str, Any]:
    given = [{"required": [name]} for name in names]
    return {"oneOf": given} if required else {"oneOf": [*given, {"not": {"anyOf": given}}]}


def _comments(file: Any) -> Iterator[tuple[str, str]]:
    """The leading comments of a file, by the full name of what they stand above."""
    names: dict[tuple[int, ...], str] = {}
    for s, service in enumerate(file.service):
        names[6, s] = f"{PACKAGE}.{service.name}"
        names |= {(6, s, 2, m): f"{PACKAGE}.{service.name}.{method.name}" for m, method in enumerate(service.method)}
    for e, enum in enumerate(file.enum_type):
        names[5, e] = f"{PACKAGE}.{enum.name}"
    for m, message in enumerate(file.message_type):
        names[4, m] = f"{PACKAGE}.{message.name}"
        names |= {(4, m, 2, f): f"{PACKAGE}.{message.name}.{field.name}" for f, field in enumerate(message.field)}
    for location in file.source_code_info.location:
        if (name := names.get(tuple(location.path))) and location.leading_comments:
            lines = (line.removeprefix(" ").rstrip() for line in location.leading_comments.splitlines())
            yield name, "\n".join(lines).strip()


_SPECIAL: dict[str, dict[str, Any]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{3,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string", "description": "Names of fields, separated by commas."},
    "google.protobuf.Struct": {"type": "object"},
}
