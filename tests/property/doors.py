"""Doors: the ways to make a call of the contract, which have to answer alike.

A door takes an RPC by its name and a request of its type, and gives the answer as a message, or the refusal as the
contract has it. The one here speaks gRPC; one over HTTP translates both ways by the annotations of the contract.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from tests.running import Client, Refusal, bearer, outcome

_STUBS = {
    "AuthService": "auth",
    "SessionService": "sessions",
    "FactorService": "factors",
    "InviteService": "invites",
    "AccountService": "accounts",
    "TenantService": "tenants",
}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Drawn at random, though no secrets: what the contract redacts in its logs is taken as such by itself.
_RANDOM = {"next_page_token", "cursor", "token_id", "kid", "x", "y", "number", "phone"}


class Answer(NamedTuple):
    """What came of a call: a message, or the code, reason and fields of a refusal."""

    code: str
    message: Message | None = None
    reason: str = ""
    fields: tuple[str, ...] = ()
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        return self.code == "OK"


class Door(Protocol):
    """One way to make any call."""

    async def call(self, rpc: str, request: Message, access_token: str) -> Answer: ...


class GrpcDoor:
    """The service itself. `overhear` gets all that a refusal says on the wire."""

    def __init__(self, client: Client, overhear: Callable[[str], object] = lambda _: None) -> None:
        self._client = client
        self._overhear = overhear

    async def call(self, rpc: str, request: Message, access_token: str) -> Answer:
        service, _, method = rpc.partition(".")
        stub: Any = getattr(self._client, _STUBS[service])
        answer = await outcome(getattr(stub, method)(request, metadata=bearer(access_token) if access_token else ()))
        if isinstance(answer, Refusal):
            self._overhear(repr(answer.on_the_wire))
            return Answer(answer.code.name, None, answer.reason, tuple(answer.fields), answer.retry_after)
        assert isinstance(answer, Message)
        return Answer("OK", answer)


class Recording:
    """Answers in words that are the same wherever the same happened.

    Ids, numbers and secrets are called by the order in which they first came up, moments by their distance from the
    beginning, and what the serial of the play is in by a name without it.
    """

    def __init__(self, began: datetime, serial: str) -> None:
        self._began, self._serial = began, serial
        self._called: dict[object, str] = {}

    def note(self, answer: Answer) -> tuple[object, ...]:
        """The answer, to compare with that of somewhere else."""
        body = None if answer.message is None else self._body(answer.message)
        return answer.code, answer.reason, answer.fields, answer.retry_after, body

    def _body(self, message: Message) -> object:
        if isinstance(message, Timestamp):
            return str(message.ToDatetime(self._began.tzinfo) - self._began)
        return {each.name: self._value(each, value) for each, value in message.ListFields()}

    def _value(self, each: FieldDescriptor, value: Any) -> object:
        if each.message_type is not None and each.message_type.GetOptions().map_entry:
            inner = each.message_type.fields_by_name["value"]
            return {key: self._value(inner, value[key]) for key in sorted(value)}
        if each.is_repeated and not isinstance(value, str | bytes):
            return [self._one(each, one) for one in value]
        return self._one(each, value)

    def _one(self, each: FieldDescriptor, value: Any) -> object:
        if isinstance(value, Message):
            return self._body(value)
        if each.GetOptions().debug_redact or each.name in _RANDOM:
            return self._name(each.full_name, value)
        if isinstance(value, str):
            return self._name("id", value) if _UUID.fullmatch(value) else value.replace(self._serial, "N")
        return value

    def _name(self, kind: str, value: object) -> str:
        return self._called.setdefault((kind, value), f"{kind} {len(self._called)}")
