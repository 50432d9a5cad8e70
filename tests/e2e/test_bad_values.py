"""Bad values beyond texts too long: nothing, too much or too many, other types deep inside, and masks of nothing.

Like `test_bad_input`, made from the descriptors. What the contract's own rules find at fault, here in the client, the
server has to refuse by the same name; and it never falls over the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import protovalidate
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Struct
from tests.e2e.contract import call, methods, name_of, path_of
from tests.e2e.fields import Path, fields_of, least, make_room
from tests.e2e.least import credentials
from tests.e2e.test_bad_input import CANARY, ONE_ENGINE, assert_bad, delimited, tag
from tests.running import Metadata, Refusal, Running, outcome

FALLS_OVER = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE}
# More than any list may hold, in a message that is still read.
CROWD = 2000
TOO_BIG = 2**32 - 1


async def sent(service: Running, method: MethodDescriptor, raw: bytes, metadata: Metadata) -> bytes | Refusal:
    """What comes of a request; nothing of ours falls over it."""
    stream = bool(method.server_streaming)
    answer = await outcome(call(service.channel, path_of(method), raw, metadata, stream=stream))
    assert not isinstance(answer, Refusal) or answer.code not in FALLS_OVER, f"{name_of(method)}: {answer!r}"
    return answer


async def is_refused_as_ruled(service: Running, method: MethodDescriptor, request: Message, metadata: Metadata) -> bool:
    """Whether the request broke rules of the contract; the server then has refused it by the names of the fields."""
    faults = [fault.proto for fault in protovalidate.collect_violations(request)]
    answer = await sent(service, method, request.SerializeToString(), metadata)
    if faults:
        assert isinstance(answer, Refusal), f"{name_of(method)} takes {faults}"
        assert_bad(answer, *answer.fields)
        assert answer.fields  # of very many, not all are named
        assert {*answer.fields} <= {field_of(fault) for fault in faults}
    return bool(faults)


def field_of(fault: Any) -> str:
    """The path of a field as the service writes it."""
    return ".".join(
        f"{element.field_name}[{element.subscript.value}]" if element.subscript else element.field_name
        for element in fault.field.elements
    )


def inside(request: Message, path: Path) -> Any:
    """What the field itself holds: a message, a list or a map."""
    target: Any = request
    for name in path.names[:-1]:
        field, _, index = name.partition("[")
        target = getattr(target, field)
        target = target.add(day_of_week=1, is_closed=True) if index else target
    return getattr(target, path.names[-1].partition("[")[0])


async def test_every_text_may_be_empty_or_is_asked_for(service: Running) -> None:
    """An empty text is refused by name where the contract wants one, and is as good as none elsewhere."""
    for method in methods():
        metadata = await credentials(service, method)
        for path in fields_of(method.input_type, FieldDescriptor.TYPE_STRING):
            request = least(method)
            make_room(method, request, path)
            path.set(request, "")
            await is_refused_as_ruled(service, method, request, metadata)


@ONE_ENGINE
async def test_every_number_has_an_end(service: Running) -> None:
    """The largest number that fits the wire is refused by name."""
    for method in methods():
        metadata = await credentials(service, method)
        for path in fields_of(method.input_type, FieldDescriptor.TYPE_UINT32):
            request = least(method)
            path.set(request, TOO_BIG)
            assert await is_refused_as_ruled(service, method, request, metadata), f"{name_of(method)} {path}"


@ONE_ENGINE
async def test_TR_02_every_list_has_an_end(service: Running) -> None:
    """Two thousand of anything are too many, whether texts or messages."""
    for method in methods():
        metadata = await credentials(service, method)
        for path in fields_of(method.input_type, FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE):
            request = least(method)
            holder = inside(request, path)
            if path.field.message_type is not None and path.field.is_repeated:
                holder.extend(GetMessageClass(path.field.message_type)() for _ in range(CROWD))
            elif path.field.is_repeated:
                holder.extend([CANARY] * CROWD)
            else:
                continue
            assert await is_refused_as_ruled(service, method, request, metadata), f"{name_of(method)} {path}"


@ONE_ENGINE
async def test_M16_no_key_has_a_nul(service: Running) -> None:
    """Structures and masks hold texts too."""
    for method in methods():
        metadata = await credentials(service, method)
        for path in fields_of(method.input_type, FieldDescriptor.TYPE_MESSAGE):
            request = least(method)
            holder = inside(request, path)
            if isinstance(holder, Struct):
                holder.update({f"{CANARY}\0": 1})
            elif isinstance(holder, FieldMask):
                holder.paths.append(f"{CANARY}\0")
            else:
                continue
            answer = await sent(service, method, request.SerializeToString(), metadata)
            assert isinstance(answer, Refusal)
            assert answer.fields[0].startswith(str(path))
            assert_bad(answer, *answer.fields)


@ONE_ENGINE
async def test_M2_a_field_of_another_type_is_not_there_however_deep(service: Running) -> None:
    """A number where a text or a message belongs, inside of other messages, is passed over."""
    for method in methods():
        metadata = await credentials(service, method)
        for numbers in paths_of(method.input_type):
            raw = tag(numbers[-1], 5) + b"\xff" * 4
            for number in reversed(numbers[:-1]):
                raw = delimited(number, raw)
            await sent(service, method, least(method).SerializeToString() + raw, metadata)


def paths_of(message: Descriptor, *above: int) -> Iterator[tuple[int, ...]]:
    """The numbers that lead to every field of a request, in messages of others too."""
    for field in message.fields:
        yield (*above, field.number)
        if field.message_type is not None and len(above) < 4:
            yield from paths_of(field.message_type, *above, field.number)
