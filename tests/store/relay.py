"""A TCP relay in front of PostgreSQL's socket that can swallow, cut and refuse."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class Relay:
    """Listens on a free port of the loopback interface while it is used as a context."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._links: dict[asyncio.Task[None], None] = {}
        self._port = 0
        # Bytes of a client after which no answer gets back to it any more.
        self.mute_after: bytes | None = None

    def __enter__(self) -> Relay:
        self._thread.start()
        self._call(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def url(self, url: str) -> str:
        """The URL of a database of the server, through this relay."""
        parts = urlsplit(url)
        return f"postgresql://{parts.username}@127.0.0.1:{self._port}{parts.path}?sslmode=disable"

    def swallow(self) -> None:
        """Deliver nothing any more, in neither direction; connections stay open and new ones are accepted."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def deliver(self) -> None:
        """Deliver again, also what was held back."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def cut(self) -> None:
        """Cut what is connected."""

        async def cut() -> None:
            tasks = list(self._links)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._call(cut)

    def refuse(self) -> None:
        """Cut what is connected and refuse what comes."""

        async def close() -> None:
            self._server.close()

        self._call(close)
        self.cut()

    def _call(self, function: Callable[[], Any]) -> None:
        asyncio.run_coroutine_threadsafe(function(), self._loop).result(10)

    async def _listen(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links[task] = None
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._flowing.wait()
                await self._connect(reader, writer)
        finally:
            del self._links[task]
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_unix_connection(self._socket)
        muted = False

        async def forward() -> None:
            nonlocal muted
            while data := await reader.read(65536):
                await self._flowing.wait()
                muted = muted or (self.mute_after is not None and self.mute_after in data)
                their_writer.write(data)

        async def backward() -> None:
            while data := await their_reader.read(65536):
                await self._flowing.wait()
                if muted:
                    return
                writer.write(data)

        pumps = [asyncio.create_task(forward()), asyncio.create_task(backward())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            their_writer.transport.abort()
