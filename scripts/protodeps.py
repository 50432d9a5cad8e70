"""Fill .protodeps/ with the .proto files that the contract imports, without a network.

google/api and google/rpc are copied out of the installed googleapis-common-protos. protovalidate
ships buf/validate/validate.proto only as a descriptor, so that one is printed back to source.
"""

import re
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    message_factory,
    text_format,
    timestamp_pb2,
)
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parents[1]
DEPS = ROOT / ".protodeps"
COPIED = ("google/api/annotations.proto", "google/rpc/error_details.proto")
MAX_FIELD = 536870911
IMPORT = re.compile(r'^import (?:public )?"(google/(?!protobuf/)[^"]+)";', re.MULTILINE)

Field = descriptor_pb2.FieldDescriptorProto


def main() -> None:
    shutil.rmtree(DEPS, ignore_errors=True)
    for path in COPIED:
        copy(path)
    validate = parse(validate_pb.desc().proto.to_binary())
    write(validate.name, "".join(f"{line}\n" for line in print_file(validate)))


def copy(path: str) -> None:
    """Copy one file and all that it imports; google/protobuf is built into every compiler."""
    if (DEPS / path).exists():
        return
    package, name = path.rsplit("/", 1)
    text = files(package.replace("/", ".")).joinpath(name).read_text(encoding="utf-8")
    write(path, text)
    for imported in IMPORT.findall(text):
        copy(imported)


def write(path: str, text: str) -> None:
    target = DEPS / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def parse(content: bytes) -> Any:
    """Parse a file descriptor in a pool that knows the file's own extensions, so that its options are readable."""
    pool = descriptor_pool.DescriptorPool()
    for module in (descriptor_pb2, duration_pb2, timestamp_pb2, field_mask_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(content)
    file_class = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FileDescriptorProto"))
    return file_class.FromString(content)


def print_file(file: Any) -> Iterator[str]:
    yield f'syntax = "{file.syntax or "proto2"}";'
    yield f"package {file.package};"
    yield from (f'import "{name}";' for name in file.dependency)
    yield from (f"option {option};" for option in options(file.options))
    for extendee in dict.fromkeys(field.extendee for field in file.extension):
        yield f"extend {extendee} {{"
        yield from (print_field(field, file.syntax) for field in file.extension if field.extendee == extendee)
        yield "}"
    for message in file.message_type:
        yield from print_message(message, file.syntax)
    for enum in file.enum_type:
        yield from print_enum(enum)


def print_message(message: Any, syntax: str) -> Iterator[str]:
    yield f"message {message.name} {{"
    yield from (f"option {option};" for option in options(message.options))
    for nested in message.nested_type:
        yield from print_message(nested, syntax)
    for enum in message.enum_type:
        yield from print_enum(enum)
    opened = set()
    for field in message.field:
        if not in_oneof(field):
            yield print_field(field, syntax)
        elif field.oneof_index not in opened:
            opened.add(field.oneof_index)
            yield from print_oneof(message, field.oneof_index, syntax)
    for span in message.extension_range:
        yield f"extensions {print_span(span.start, span.end - 1, MAX_FIELD)};"
    for span in message.reserved_range:
        yield f"reserved {print_span(span.start, span.end - 1, MAX_FIELD)};"
    yield from (f'reserved "{name}";' for name in message.reserved_name)
    yield "}"


def print_oneof(message: Any, index: int, syntax: str) -> Iterator[str]:
    oneof = message.oneof_decl[index]
    yield f"oneof {oneof.name} {{"
    yield from (f"option {option};" for option in options(oneof.options))
    yield from (print_field(field, syntax) for field in message.field if in_oneof(field) and field.oneof_index == index)
    yield "}"


def print_enum(enum: Any) -> Iterator[str]:
    yield f"enum {enum.name} {{"
    yield from (f"option {option};" for option in options(enum.options))
    yield from (f"{value.name} = {value.number}{brackets(value.options)};" for value in enum.value)
    yield from (f"reserved {print_span(span.start, span.end, 2**31 - 1)};" for span in enum.reserved_range)
    yield from (f'reserved "{name}";' for name in enum.reserved_name)
    yield "}"


def print_field(field: Any, syntax: str) -> str:
    label = Field.Label.Name(field.label).removeprefix("LABEL_").lower() + " "
    if in_oneof(field) or (syntax == "proto3" and label == "optional " and not field.proto3_optional):
        label = ""
    kind = field.type_name or Field.Type.Name(field.type).removeprefix("TYPE_").lower()
    return f"{label}{kind} {field.name} = {field.number}{brackets(field.options, field)};"


def in_oneof(field: Any) -> bool:
    return field.HasField("oneof_index") and not field.proto3_optional


def print_span(start: int, end: int, maximum: int) -> str:
    if start == end:
        return str(start)
    return f"{start} to {'max' if end >= maximum else end}"


def brackets(message: Any, field: Any = None) -> str:
    found = list(options(message))
    if field is not None and field.HasField("default_value"):
        quoted = field.type == Field.TYPE_STRING
        found.insert(0, f'default = "{field.default_value}"' if quoted else f"default = {field.default_value}")
    return f" [{', '.join(found)}]" if found else ""


def options(message: Any) -> Iterator[str]:
    """Print each option that is set, as source; the file's own extensions are messages, the other options scalars."""
    for field, value in message.ListFields():
        if field.is_extension:
            yield f"({field.full_name}) = {{{text_format.MessageToString(value, as_one_line=True)}}}"
        else:
            option = text_format.MessageToString(type(message)(**{field.name: value}))
            yield option.strip().replace(": ", " = ", 1)


if __name__ == "__main__":
    main()
