"""Server-sent events: WatchRevocations for clients that speak HTTP only."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from starlette.responses import Response, StreamingResponse

from identity.rest.refusals import Refusal


async def follow(replies: AsyncIterator[Any], write: Callable[[Any], Any]) -> Response:
    """The stream as events: named after what is in the reply, with its cursor as their id.

    A browser that reconnects sends the last id as `Last-Event-ID`, which goes on from there. Raises a Refusal as
    long as nothing was sent.
    """
    first = await anext(replies, None)

    async def events() -> AsyncIterator[str]:
        async with aclosing(replies):  # type: ignore[type-var]  # it is a generator
            if first is not None:
                yield _event(first, write)
            try:
                async for reply in replies:
                    yield _event(reply, write)
            except Refusal:
                return  # the connection ends, and the client comes back with its last id

    return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-store"})


def _event(reply: Any, write: Callable[[Any], Any]) -> str:
    data = json.dumps(write(reply), separators=(",", ":"))
    return f"id: {reply.cursor}\nevent: {reply.WhichOneof('event')}\ndata: {data}\n\n"
