"""A WebSocket as ASGI gives it: text in, text out, and one way to end."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import msgspec
from litestar.types import Receive, Send

from server.graphql.errors import ClientLeft, RequestError
from server.graphql.messages import CloseSocket

CLOSE_DEADLINE_SECONDS = 5.0


@dataclass(slots=True)
class Wire:
    receive: Receive
    send_event: Send
    longest_frame: int

    async def accept(self, subprotocol: str | None) -> None:
        await self.receive()
        await self.send_event({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})

    async def refuse(self, error: RequestError | None = None, told: Mapping[str, str] | None = None) -> None:
        """Before it is accepted: the handshake is answered with 403, or with `error` and, in headers, `told`."""
        await self.receive()
        if error is None:
            await self.send_event({"type": "websocket.close", "code": 4403, "reason": ""})
            return
        body = msgspec.json.encode({"errors": error.errors})
        headers = {"content-type": "application/json; charset=utf-8", "content-length": str(len(body))}
        headers.update({**error.headers, **(told or {})})
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self.send_event({"type": "websocket.http.response.start", "status": error.status, "headers": raw})
        await self.send_event({"type": "websocket.http.response.body", "body": body, "more_body": False})

    async def read(self) -> str:
        """Raises ClientLeft, and CloseSocket on what is not a text frame of a size that is read."""
        message = await self.receive()
        if message["type"] != "websocket.receive":
            raise ClientLeft
        text = message.get("text")
        if text is None:
            raise CloseSocket(4400, "Invalid message: only text frames are read.")
        if len(text) > self.longest_frame:
            raise CloseSocket(1009, f"A message may have {self.longest_frame} characters.")
        return text

    async def send(self, text: str) -> None:
        """Waits while the client's buffers are full. Raises ClientLeft."""
        try:
            await self.send_event({"type": "websocket.send", "text": text, "bytes": None})
        except OSError:
            raise ClientLeft from None

    async def close(self, code: int, reason: str) -> None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_DEADLINE_SECONDS):
                await self.send_event({"type": "websocket.close", "code": code, "reason": reason})
