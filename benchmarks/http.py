"""The least that speaks HTTP/1.1: a connection for each worker, so that the client costs what a gRPC client does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass
class Connections:
    """Keeps one connection per worker to an address."""

    address: str
    _open: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=dict)

    async def send(self, worker: int, request: bytes) -> bytes:
        """Send a request as it stands and give the body of its answer. Raises RuntimeError unless that is a 200."""
        if worker not in self._open:
            host, _, port = self.address.rpartition(":")
            self._open[worker] = await asyncio.open_connection(host, int(port))
        reader, writer = self._open[worker]
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode("latin-1"))
        if b"transfer-encoding: chunked" in head.lower():
            body = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
            return body
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return await reader.readexactly(int(length))

    def close(self) -> None:
        """Let go of every connection."""
        for _, writer in self._open.values():
            writer.close()


def get(path: str, bearer: str) -> bytes:
    """A GET of somebody."""
    return f"GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {bearer}\r\n\r\n".encode()


def post(path: str, body: str) -> bytes:
    """A POST of JSON."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()
