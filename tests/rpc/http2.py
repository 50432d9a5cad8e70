"""An HTTP/2 client that sends what a gRPC library would not."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1


class Http2:
    """One connection. `data` holds what came back, by stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._next = 1
        self.data: defaultdict[int, bytes] = defaultdict(bytes)
        self._ended: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)

    @classmethod
    @asynccontextmanager
    async def to(cls, address: str, window: int = 65535) -> AsyncIterator[Http2]:
        """Connects. The server may send `window` bytes on each stream unasked."""
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        connection = cls(reader, writer)
        writer.write(PREFACE + frame(SETTINGS, 0, 0, (4).to_bytes(2, "big") + window.to_bytes(4, "big")))
        reading = asyncio.create_task(connection._read())
        try:
            yield connection
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def headers(self, path: str, metadata: Iterable[tuple[str, str]], flags: int = END_HEADERS) -> int:
        """Begins a call."""
        stream, self._next = self._next, self._next + 2
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            *metadata,
        ]
        block = b"".join(b"\0" + literal(name) + literal(value) for name, value in fields)
        self._writer.write(frame(HEADERS, flags, stream, block))
        return stream

    def call(self, path: str, request: Any, metadata: Iterable[tuple[str, str]]) -> int:
        """Makes a whole call."""
        stream = self.headers(path, metadata)
        raw = request.SerializeToString()
        self._writer.write(frame(DATA, END_STREAM, stream, b"\0" + len(raw).to_bytes(4, "big") + raw))
        return stream

    def reset(self, stream: int) -> None:
        """Takes a call back."""
        self._writer.write(frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big")))

    def ping(self) -> None:
        self._writer.write(frame(PING, 0, 0, bytes(8)))

    def open_window(self, stream: int, by: int) -> None:
        """Lets the server send so many bytes more."""
        for number in (0, stream):
            self._writer.write(frame(WINDOW_UPDATE, 0, number, by.to_bytes(4, "big")))

    def messages(self, stream: int) -> list[bytes]:
        """What a stream has told as a whole so far."""
        data, found = self.data[stream], []
        while len(data) >= 5 and len(data) >= (end := 5 + int.from_bytes(data[1:5], "big")):
            found.append(data[5:end])
            data = data[end:]
        return found

    async def drain(self) -> None:
        await self._writer.drain()

    async def end_of(self, stream: int) -> None:
        """Returns when the server has ended the stream, or the connection."""
        async with asyncio.timeout(20):
            await self._ended[stream].wait()

    async def _read(self) -> None:
        try:
            while True:
                head = await self._reader.readexactly(9)
                length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
                stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
                payload = await self._reader.readexactly(length)
                if kind == SETTINGS and not flags & ACK:
                    self._writer.write(frame(SETTINGS, ACK, 0, b""))
                if kind == DATA:
                    self.data[stream] += payload
                if kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM):
                    self._ended[stream].set()
        except (asyncio.IncompleteReadError, ConnectionError):
            for stream in range(1, self._next, 2):
                self._ended[stream].set()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(text: str) -> bytes:
    """An HPACK string without Huffman coding."""
    raw = text.encode()
    if len(raw) < 127:
        return bytes([len(raw)]) + raw
    rest, size = len(raw) - 127, [127]
    while rest > 127:
        size.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*size, rest]) + raw
