"""A front end that costs little: sends over HTTP, follows over graphql-transport-ws, and counts what it was told."""

import time
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from tests.load.words import age_ms, now_ticks

DOCUMENTS = Path(__file__).parent / "documents"
SEND, FOLLOW = (DOCUMENTS / "send.graphql").read_text(), (DOCUMENTS / "follow.graphql").read_text()


class Reply(msgspec.Struct):
    text: str


class Event(msgspec.Struct, rename="camel"):
    kind: str = msgspec.field(name="__typename")
    seq: int
    text: str = ""
    offset: int = 0
    status: str = ""
    reply: Reply | None = None


class Told(msgspec.Struct, rename="camel"):
    generation_events: Event


class Payload(msgspec.Struct):
    data: Told


class Message(msgspec.Struct):
    type: str
    id: str = ""
    payload: msgspec.Raw = msgspec.Raw()


_message = msgspec.json.Decoder(Message)
_payload = msgspec.json.Decoder(Payload)


@dataclass(slots=True)
class Delivered:
    """Every word that reached a client of one run: when, and how long after the model wrote it. And in how many frames."""

    at: "array[float]" = field(default_factory=lambda: array("d"))
    age_ms: "array[float]" = field(default_factory=lambda: array("d"))
    frames_at: "array[float]" = field(default_factory=lambda: array("d"))

    def take(self, text: str) -> None:
        at, now = time.monotonic(), now_ticks()
        self.frames_at.append(at)
        for word in text.split():
            self.at.append(at)
            self.age_ms.append(age_ms(word, now))


@dataclass(frozen=True, slots=True)
class Heard:
    """One reply. Times are of the monotonic clock."""

    asked_at: float
    subscribed_at: float
    first_at: float


class FrontEnd:
    """One user's tab: an HTTP client and one socket, which follows one reply at a time."""

    def __init__(self, session: aiohttp.ClientSession, origin: str, key: str) -> None:
        self._session, self._url = session, f"{origin}/graphql"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._socket: aiohttp.ClientWebSocketResponse

    async def connect(self) -> None:
        self._socket = await self._session.ws_connect(self._url, protocols=["graphql-transport-ws"], max_msg_size=0)
        await self._socket.send_json({"type": "connection_init", "payload": self._headers})
        assert (await self._hear()).type == "connection_ack"

    async def close(self) -> None:
        await self._socket.close()

    async def send(self, words: int) -> str:
        """The generation's id."""
        question = {"text": f'{{"words": {words}}}', "idempotencyKey": str(uuid4())}
        body = {"query": SEND, "variables": {"input": question}}
        async with self._session.post(self._url, json=body, headers=self._headers) as response:
            answer: dict[str, Any] = await response.json()
        sent = answer["data"]["sendMessage"]
        assert sent["__typename"] == "SendMessageSuccess", sent
        generation: str = sent["generation"]["id"]
        return generation

    async def subscribe(self, generation: str) -> str:
        name = uuid4().hex[:8]
        payload = {"query": FOLLOW, "variables": {"generation": generation, "after": 0}}
        await self._socket.send_json({"id": name, "type": "subscribe", "payload": payload})
        return name

    async def hear_start(self) -> None:
        """Of a subscription whose model is silent: all that it will hear."""
        assert (await self._next()).kind == "GenerationStarted"

    async def ask(self, words: int, delivered: Delivered) -> Heard:
        """To the end, and checks that nothing is missing: neither on the way nor in what is stored."""
        asked_at, already = time.monotonic(), len(delivered.at)
        generation = await self.send(words)
        subscribed_at = time.monotonic()
        await self.subscribe(generation)
        text = await self._read_text(delivered)
        assert len(text.split()) == words, f"{len(text.split())} of {words} words came"
        assert (await self._hear()).type == "complete"
        return Heard(asked_at, subscribed_at, delivered.at[already])

    async def _read_text(self, delivered: Delivered) -> str:
        parts, length, seq = [], 0, 0
        while True:
            event = await self._next()
            assert event.seq == seq + 1, f"{event.seq} follows {seq}"
            seq = event.seq
            if event.kind == "TextDelta":
                assert event.offset == length
                delivered.take(event.text)
                parts.append(event.text)
                length += len(event.text)
            elif event.kind == "GenerationFinished":
                text = "".join(parts)
                assert event.status == "COMPLETED" and event.reply is not None and event.reply.text == text
                return text

    async def _next(self) -> Event:
        message = await self._hear()
        assert message.type == "next", message
        return _payload.decode(message.payload).data.generation_events

    async def _hear(self) -> Message:
        while True:
            frame = await self._socket.receive()
            assert frame.type is aiohttp.WSMsgType.TEXT, frame
            message = _message.decode(frame.data)
            if message.type != "ping":
                return message
            await self._socket.send_json({"type": "pong"})


@asynccontextmanager
async def opened_session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False) as session:
        yield session


async def ask_model(session: aiohttp.ClientSession, model: str, words: int) -> float:
    """Straight, without any server between: seconds to the first word, and read to the end."""
    began, first = time.monotonic(), 0.0
    body = {"model": "timed", "stream": True, "messages": [{"role": "user", "content": f'{{"words": {words}}}'}]}
    async with session.post(f"{model}/v1/chat/completions", json=body) as response:
        async for _ in response.content:
            first = first or time.monotonic() - began
    return first
