"""A front end of a few lines: asks over HTTP, follows over graphql-transport-ws and SSE, believes nothing it did not see."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self
from uuid import uuid4

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

SUBPROTOCOL = Subprotocol("graphql-transport-ws")

EVENTS = """subscription($generation: ID!, $after: Int!) {
  generationEvents(generation: $generation, after: $after) {
    __typename seq
    ... on TextDelta { text offset }
    ... on TextTruncated { length reason }
    ... on GenerationFinished { status finishReason error { code message retryable } reply { text status } }
  }
}"""
SEND = """mutation($input: SendMessageInput!) {
  sendMessage(input: $input) {
    __typename
    ... on SendMessageSuccess { conversation { id } reply { id } generation { id } replayed }
    ... on Refusal { code message }
    ... on InvalidInput { problems { path message } }
  }
}"""
STOP = """mutation($generation: ID!, $seenSeq: Int) {
  stopGeneration(generation: $generation, seenSeq: $seenSeq) {
    __typename ... on StopGenerationSuccess { alreadyEnded }
  }
}"""
PATH = "query($id: ID!) { conversation(id: $id) { path { nodes { role status text } } } }"


class Cut(Exception):
    """The stream ended before its end: with a socket's code, with an error's code, or without a word."""

    def __init__(self, code: int | str | None = None) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Sent:
    conversation: str
    reply: str
    generation: str
    replayed: bool


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    message: str
    retryable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    kind: str
    seq: int
    text: str = ""
    offset: int | None = None
    length: int | None = None
    reason: str | None = None
    status: str | None = None
    finish_reason: str | None = None
    error: Failure | None = None
    reply_text: str | None = None
    reply_status: str | None = None


Follow = Callable[["Client", str, int], AsyncGenerator[Event, None]]


class Client:
    """`key`: None is a visitor."""

    def __init__(self, origin: str, key: str | None) -> None:
        self.key = key
        self._origin = origin
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(base_url=origin, headers=headers, timeout=60)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def post(self, query: str, variables: dict[str, object] | None = None) -> httpx.Response:
        return await self._http.post("/graphql", json={"query": query, "variables": variables or {}})

    async def page(self) -> httpx.Response:
        """As a browser asks for it."""
        return await self._http.get("/graphql", headers={"Accept": "text/html,*/*;q=0.1"})

    async def ask(self, query: str, variables: dict[str, object] | None = None) -> dict[str, Any]:
        answer = (await self.post(query, variables)).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    async def send(self, text: str, *, key: str = "", model: str | None = None, longest: int = 200) -> Sent:
        settings = {"model": model, "maxOutputTokens": longest}
        given = {"text": text, "idempotencyKey": key or str(uuid4()), "settings": settings}
        answer = (await self.ask(SEND, {"input": given}))["sendMessage"]
        assert answer["__typename"] == "SendMessageSuccess", answer
        return Sent(answer["conversation"]["id"], answer["reply"]["id"], answer["generation"]["id"], answer["replayed"])

    async def stop(self, generation: str, *, seen_seq: int | None = None) -> bool:
        """Whether it had ended, or been stopped, already."""
        answer = await self.ask(STOP, {"generation": generation, "seenSeq": seen_seq})
        already: bool = answer["stopGeneration"]["alreadyEnded"]
        return already

    async def path(self, conversation: str) -> list[tuple[str, str, str]]:
        """Role, status and text, from the root to the active leaf."""
        answer = await self.ask(PATH, {"id": conversation})
        return [(node["role"], node["status"], node["text"]) for node in answer["conversation"]["path"]["nodes"]]

    async def watch(self, subscription: str, variables: dict[str, object]) -> list[dict[str, Any]]:
        """The data of every event of any subscription, over SSE, to its end."""
        body = {"query": subscription, "variables": variables}
        answer = await self._http.post("/graphql", json=body, headers={"Accept": "text/event-stream"})
        payloads = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
        return [json.loads(payload)["data"] for payload in payloads]

    async def follow_ws(self, generation: str, after: int = 0) -> AsyncGenerator[Event, None]:
        """Raises Cut."""
        async with self.socket() as socket:
            await socket.initialise(self.key)
            await socket.subscribe("1", generation, after)
            while (event := (await socket.receive_event())[1]) is not None:
                yield event

    async def follow_sse(self, generation: str, after: int = 0) -> AsyncGenerator[Event, None]:
        """Raises Cut."""
        body = {"query": EVENTS, "variables": {"generation": generation, "after": after}}
        stream = self._http.stream("POST", "/graphql", json=body, headers={"Accept": "text/event-stream"})
        last = "nothing"
        try:
            async with stream as response:
                async for line in response.aiter_lines():
                    last = line or last
                    if line == "event: complete":
                        return
                    if line.startswith("data: "):
                        yield _event(json.loads(line.removeprefix("data: ")))
        except httpx.TransportError as error:
            raise Cut from error
        raise Cut(f"{response.status_code}, at last: {last}")

    @asynccontextmanager
    async def socket(self) -> AsyncIterator["Socket"]:
        address = f"{self._origin.replace('http', 'ws', 1)}/graphql"
        async with connect(address, subprotocols=[SUBPROTOCOL], proxy=None) as connection:
            yield Socket(connection)


class Socket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def initialise(self, key: str | None) -> None:
        """Raises Cut."""
        payload = {} if key is None else {"Authorization": f"Bearer {key}"}
        await self._say({"type": "connection_init", "payload": payload})
        assert await self._hear() == {"type": "connection_ack"}

    async def subscribe(self, name: str, generation: str, after: int = 0) -> None:
        variables = {"generation": generation, "after": after}
        await self._say({"id": name, "type": "subscribe", "payload": {"query": EVENTS, "variables": variables}})

    async def receive_event(self) -> tuple[str, Event | None]:
        """With the name of the subscription; None: it is complete. Raises Cut."""
        message = await self._hear()
        assert message["type"] in ("next", "complete"), message
        return message["id"], _event(message["payload"]) if message["type"] == "next" else None

    async def closed(self) -> int | str | None:
        """The code that it is closed with; what comes before is thrown away."""
        try:
            while True:
                await self._hear()
        except Cut as cut:
            return cut.code

    async def _say(self, message: dict[str, object]) -> None:
        try:
            await self._connection.send(json.dumps(message))
        except ConnectionClosed as closed:
            raise Cut(_code(closed)) from closed

    async def _hear(self) -> dict[str, Any]:
        try:
            while True:
                message: dict[str, Any] = json.loads(await self._connection.recv())
                if message["type"] != "ping":
                    return message
                await self._say({"type": "pong"})
        except ConnectionClosed as closed:
            raise Cut(_code(closed)) from closed


def played(events: Sequence[Event], text: str = "") -> str:
    """What a client shows after `events`, every one of which must fit to what it shows before: no gap, nothing twice."""
    assert all(later.seq == earlier.seq + 1 for earlier, later in pairwise(events)), [event.seq for event in events]
    for event in events:
        if event.kind == "TextDelta":
            assert event.offset == units(text), (event, text)
            text += event.text
        elif event.kind == "TextTruncated":
            assert event.length is not None
            text = text.encode("utf-16-le")[: 2 * event.length].decode("utf-16-le")
    return text


def units(text: str) -> int:
    """What JavaScript's `length` counts."""
    return len(text.encode("utf-16-le")) // 2


def _event(payload: dict[str, Any]) -> Event:
    if "errors" in payload:
        raise Cut(payload["errors"][0]["extensions"]["code"])
    told = payload["data"]["generationEvents"]
    error, reply = told.get("error"), told.get("reply") or {}
    return Event(
        kind=told["__typename"],
        seq=told["seq"],
        text=told.get("text", ""),
        offset=told.get("offset"),
        length=told.get("length"),
        reason=told.get("reason"),
        status=told.get("status"),
        finish_reason=told.get("finishReason"),
        error=Failure(**error) if error else None,
        reply_text=reply.get("text"),
        reply_status=reply.get("status"),
    )


def _code(closed: ConnectionClosed) -> int:
    return closed.rcvd.code if closed.rcvd else 1006
