"""A front end that costs little: sends over HTTP, follows over graphql-transport-ws, and counts what it was told."""

import time
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


class Delta(msgspec.Struct):
    content: str = ""


class Choice(msgspec.Struct):
    delta: Delta


class Chunk(msgspec.Struct):
    choices: list[Choice]


_message = msgspec.json.Decoder(Message)
_payload = msgspec.json.Decoder(Payload)


@dataclass(slots=True)
class Delivered:
    """How long after the model wrote it each word reached a client, and in how many frames they came."""

    age_ms: list[float] = field(default_factory=list)
    frames: int = 0

    def take(self, text: str) -> None:
        now = now_ticks()
        self.frames += 1
        self.age_ms.extend(age_ms(word, now) for word in text.split())


@dataclass(frozen=True, slots=True)
class Heard:
    """Seconds to a reply's first word: since its question was sent, and since it was subscribed to."""

    since_sent: float
    since_subscribed: float


class FrontEnd:
    """One user's tab: an HTTP client and one socket, which follows one reply at a time."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        socket: aiohttp.ClientWebSocketResponse,
        url: str,
        headers: dict[str, str],
    ) -> None:
        self._session, self._socket, self._url, self._headers = session, socket, url, headers

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

    async def hear_silence(self, generation: str) -> None:
        """Of a run whose model is silent: its start is all that will come."""
        await self._subscribe(generation)
        assert (await self._next()).kind == "GenerationStarted"

    async def ask(self, words: int, delivered: Delivered) -> Heard:
        """To the end, and checks that nothing is missing: neither on the way nor in what is stored."""
        asked_at = time.monotonic()
        generation = await self.send(words)
        subscribed_at = time.monotonic()
        await self._subscribe(generation)
        text, first_at = await self._read_text(delivered)
        assert len(text.split()) == words, f"{len(text.split())} of {words} words came"
        assert (await self._hear()).type == "complete"
        return Heard(first_at - asked_at, first_at - subscribed_at)

    async def _subscribe(self, generation: str) -> None:
        payload = {"query": FOLLOW, "variables": {"generation": generation, "after": 0}}
        await self._socket.send_json({"id": uuid4().hex[:8], "type": "subscribe", "payload": payload})

    async def _read_text(self, delivered: Delivered) -> tuple[str, float]:
        """With the time of its first word."""
        text, seq, first_at = "", 0, 0.0
        while True:
            event = await self._next()
            assert event.seq == seq + 1, f"{event.seq} follows {seq}"
            seq = event.seq
            if event.kind == "TextDelta":
                assert event.offset == len(text)
                first_at = first_at or time.monotonic()
                delivered.take(event.text)
                text += event.text
            elif event.kind == "GenerationFinished":
                assert event.status == "COMPLETED"
                assert event.reply is not None
                assert event.reply.text == text
                return text, first_at

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
async def opened_front_end(session: aiohttp.ClientSession, origin: str, key: str) -> AsyncIterator[FrontEnd]:
    authorization = {"Authorization": f"Bearer {key}"}
    async with session.ws_connect(f"{origin}/graphql", protocols=["graphql-transport-ws"], max_msg_size=0) as socket:
        await socket.send_json({"type": "connection_init", "payload": authorization})
        assert "connection_ack" in await socket.receive_str()
        yield FrontEnd(session, socket, f"{origin}/graphql", authorization)


@asynccontextmanager
async def opened_session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False) as session:
        yield session


async def ask_model(session: aiohttp.ClientSession, model: str, words: int, delivered: Delivered) -> float:
    """Straight, without any server between: seconds to the first word, and read to the end."""
    began, first = time.monotonic(), 0.0
    body = {"model": "timed", "stream": True, "messages": [{"role": "user", "content": f'{{"words": {words}}}'}]}
    async with session.post(f"{model}/v1/chat/completions", json=body) as response:
        async for line in response.content:
            if b'"content"' in line:
                first = first or time.monotonic() - began
                delivered.take(msgspec.json.decode(line.removeprefix(b"data: "), type=Chunk).choices[0].delta.content)
    return first
