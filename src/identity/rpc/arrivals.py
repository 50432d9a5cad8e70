"""What comes with a call besides its message: an id, a credential, and where it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextvars import ContextVar
from itertools import count
from secrets import token_hex
from typing import Any, Final

import grpc.aio

from identity.rpc.caller import Call
from identity.rpc.source import CLIENT_IP, CLIENT_USER_AGENT, USER_AGENT, SourceReader

REQUEST_ID: Final = "x-request-id"
TRACEPARENT: Final = "traceparent"
_AUTHORIZATION: Final = "authorization"
_READ: Final = frozenset({_AUTHORIZATION, REQUEST_ID, TRACEPARENT, CLIENT_IP, CLIENT_USER_AGENT, USER_AGENT})
# What a header counts as that was sent twice: good for nothing, so that each reader refuses it in its own way.
_REPEATED: Final = "\n"
_is_request_id: Final = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch

_metadata: ContextVar[Iterable[tuple[str, str]]] = ContextVar("metadata")


def note_metadata(metadata: Iterable[tuple[str, str]]) -> None:
    """Keeps what gRPC has converted for the interceptor; asking the context would convert it once more."""
    _metadata.set(metadata)


class Arrivals:
    """Reads the metadata that counts. Whatever else is sent, cookies included, identifies nobody."""

    def __init__(self, sources: SourceReader) -> None:
        self._sources = sources
        self._ids = map(f"{token_hex(6)}-{{:x}}".format, count(1))

    def identify(self, call: Call, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Notes what the call brought; raises `InvalidRequest` for a source that cannot be read.

        The credential is not looked at: the access of the method decides whether it matters.
        """
        metadata: dict[str, str] = {}
        for key, value in _metadata.get():
            if key in _READ:
                metadata[key] = _REPEATED if key in metadata else value
        request_id = metadata.get(REQUEST_ID)
        call.request_id = request_id if request_id and _is_request_id(request_id) else next(self._ids)
        call.traceparent = metadata.get(TRACEPARENT)
        call.authorization = metadata.get(_AUTHORIZATION)
        call.source, call.network = self._sources.read(context.peer(), metadata)
