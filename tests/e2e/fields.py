"""The fields of requests as the descriptors tell of them, however deep inside, and how to fill them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from tests.e2e.contract import name_of
from tests.e2e.least import LEAST
from tests.property.hostile import OPTIONS, RULES
from tests.running import PASSWORD

from identity_pb.v1 import auth_service_pb2 as auth

# What a message inside a request needs itself.
_NEEDED = {"credentials": auth.OtpCredentials(identifier="a@example.org", password=PASSWORD)}


class Path:
    """A field somewhere in a request, by the names that lead to it; `field` describes it."""

    def __init__(self, field: FieldDescriptor, *names: str) -> None:
        self.field, self.names = field, names

    def __str__(self) -> str:
        return ".".join(self.names)

    @property
    def rules(self) -> Any:
        """What the contract asks of the field."""
        return OPTIONS.FromString(self.field.GetOptions().SerializeToString()).Extensions[RULES]

    def set(self, request: Message, value: Any) -> None:
        """Put a value there, and what has to stand around it."""
        target: Any = request
        for name in self.names[:-1]:
            field, _, index = name.partition("[")
            target = getattr(target, field)
            target = target.add(day_of_week=1, is_closed=True) if index else target
            if name in _NEEDED:
                target.MergeFrom(_NEEDED[name])
        field, _, index = self.names[-1].partition("[")
        if index:
            getattr(target, field).append(value)
        else:
            setattr(target, field, value)


def fields_of(message: Descriptor, *kinds: int, prefix: tuple[str, ...] = ()) -> Iterator[Path]:
    """Every field of some kinds, in nested messages of ours too."""
    for field in message.fields:
        name = f"{field.name}[0]" if field.is_repeated else field.name
        nested = field.message_type
        if nested is not None and nested.GetOptions().map_entry:
            continue
        if field.type in kinds:
            yield Path(field, *prefix, name)
        if nested is not None and nested.file.package == "identity.v1":
            yield from fields_of(nested, *kinds, prefix=(*prefix, name))


def least(method: MethodDescriptor) -> Message:
    """A copy of what an RPC asks for at least."""
    copy: Message = GetMessageClass(method.input_type)()
    copy.CopyFrom(LEAST[name_of(method)])
    return copy


def make_room(method: MethodDescriptor, request: Message, path: Path) -> None:
    """Take out what may not stand beside the field: a push device is named by its id or by its token."""
    if name_of(method) == "SessionService.RemovePushDevice" and path.names[0] != "id":
        request.ClearField("id")
