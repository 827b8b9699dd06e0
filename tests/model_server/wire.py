"""HTTP/1.1 by hand, so that it can be broken anywhere."""

import asyncio
import json
import socket
import struct
from dataclasses import dataclass


class WatchedReader(asyncio.StreamReader):
    """Knows that the client has left while nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.gone.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.gone.set()


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, object]
    raw: bytes = b""


class Response:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    @property
    def connection(self) -> int:
        port: int = self._writer.get_extra_info("peername")[1]
        return port

    async def json(self, content: object, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        await self._whole(status, json.dumps(content).encode(), {"content-type": "application/json", **(headers or {})})

    async def html(self, page: str) -> None:
        await self._whole(200, page.encode(), {"content-type": "text/html"})

    async def begin_stream(self, media_type: str = "text/event-stream") -> None:
        self._head(200, {"content-type": media_type, "transfer-encoding": "chunked"})
        await self._writer.drain()

    async def stream(self, part: bytes) -> None:
        self._writer.write(b"%x\r\n%b\r\n" % (len(part), part))
        await self._writer.drain()

    async def end_stream(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()
        raise ConnectionAbortedError

    def reset(self) -> None:
        raw: socket.socket = self._writer.get_extra_info("socket")
        # Lingering for no time makes the close an RST.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        raise ConnectionAbortedError

    async def _whole(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "content-length": str(len(content))})
        self._writer.write(content)
        await self._writer.drain()

    def _head(self, status: int, headers: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, json.loads(content) if content else {}, content)
