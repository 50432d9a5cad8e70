"""A backend that watches the feed of ended sessions, and remembers where it was."""

from __future__ import annotations

import asyncio
from itertools import count
from types import TracebackType
from typing import Any, Self

import grpc.aio
from tests.running import Metadata, Refusal, Running, bearer

from identity.domain.service_access import create_service_key, learn_service_keys
from identity_pb.v1 import session_service_pb2 as pb

PATIENCE = 20
_names = count(1)


def backend(*nodes: Running) -> Metadata:
    """The credential of a new backend, which all nodes know."""
    token = create_service_key(nodes[0].world, f"backend {next(_names)}", ["session:watch"])
    for node in nodes:
        learn_service_keys(node.world)
    return bearer(token)


class Watch:
    """One stream, open while it is used as a context. `cursor` is that of the last message read."""

    def __init__(self, stub: Any, metadata: Metadata, cursor: str | None = None) -> None:
        """Watch through a stub of SessionService, with a service key."""
        self._stub = stub
        self._metadata = metadata
        self.cursor = cursor
        self.messages: list[pb.WatchRevocationsResponse] = []

    async def __aenter__(self) -> Self:
        self.call = self._stub.WatchRevocations(pb.WatchRevocationsRequest(cursor=self.cursor), metadata=self._metadata)
        self._stream = self.call.__aiter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.call.cancel()

    async def next(self) -> pb.WatchRevocationsResponse:
        """The next message. Raises AioRpcError when the stream has ended."""
        message: pb.WatchRevocationsResponse = await asyncio.wait_for(self._stream.__anext__(), PATIENCE)
        self.cursor = message.cursor
        self.messages.append(message)
        return message

    async def begun(self) -> None:
        """Read what the stream begins with: a snapshot, or what was missed."""
        while (await self.next()).WhichOneof("event") == "revocation":
            pass

    async def until_told_of(self, session_id: str) -> pb.WatchRevocationsResponse:
        """Read on until a session's end is told."""
        while (await self.next()).revocation.session_id != session_id:
            pass
        return self.messages[-1]

    async def ended(self) -> Refusal:
        """Read to the end, and give what it ended with."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    await self.next()
        except grpc.aio.AioRpcError as error:
            return Refusal(error)

    @property
    def told(self) -> set[str]:
        """The sessions whose end was told."""
        return {message.revocation.session_id for message in self.messages if message.HasField("revocation")}
