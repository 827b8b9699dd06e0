"""A front end that expects the worst: every answer is typed or else a finding, every stream may be cut."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.e2e.client import SEND, STOP, SUBPROTOCOL, Cut

Transport = Literal["ws", "sse"]

ENTRY = """__typename seq at
    ... on GenerationStarted { attempt }
    ... on TextDelta { text offset }
    ... on TextTruncated { length }
    ... on GenerationFinished { status }"""
EVENTS = f"""subscription($generation: ID!, $after: Int!) {{
  generationEvents(generation: $generation, after: $after) {{ {ENTRY} }}
}}"""
LOG = f"""query($generation: ID!, $after: Int!) {{
  generation(id: $generation) {{
    status lastSeq reply {{ text status }}
    events(after: $after, first: 500) {{ events {{ {ENTRY} }} nextAfter terminal }}
  }}
}}"""
CONTINUE = """mutation($input: ContinueReplyInput!) {
  continueReply(input: $input) {
    __typename
    ... on SendMessageSuccess { conversation { id } reply { id } generation { id } replayed }
    ... on Refusal { code message }
    ... on InvalidInput { problems { path message } }
  }
}"""
WHO = "{ viewer { id } }"
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Event:
    """As it was shown. `at`: when it was stored, in seconds of the epoch."""

    kind: str
    seq: int
    at: float
    text: str = ""
    offset: int | None = None
    length: int | None = None
    attempt: int | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    conversation: str
    reply: str
    generation: str
    replayed: bool


@dataclass(frozen=True, slots=True)
class Log:
    """What the API tells of a run now."""

    status: str
    last_seq: int
    reply_text: str
    reply_status: str
    events: tuple[Event, ...]


class NoAnswer(Exception):
    """`code`: of a typed refusal; None: the connection broke, or nothing came in time. `untyped`: what came instead."""

    def __init__(self, code: str | None = None, untyped: str | None = None) -> None:
        super().__init__(code or untyped)
        self.code, self.untyped = code, untyped


class FrontEnd:
    def __init__(self) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=40)
        self._http = httpx.AsyncClient(limits=limits, timeout=TIMEOUT_SECONDS)

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(
        self, origin: str, key: str, query: str, variables: dict[str, object] | None = None, *, seconds: float = 10
    ) -> dict[str, Any]:
        """Raises NoAnswer."""
        body, headers = {"query": query, "variables": variables or {}}, {"Authorization": f"Bearer {key}"}
        try:
            answer = await self._http.post(f"{origin}/graphql", json=body, headers=headers, timeout=seconds)
        except httpx.TransportError as error:
            raise NoAnswer from error
        return _data(answer)

    async def send(
        self,
        origin: str,
        key: str,
        text: str,
        idempotency_key: str,
        *,
        model: str | None = None,
        seconds: float = 10,
    ) -> Sent:
        """Raises NoAnswer."""
        settings = {"model": model, "maxOutputTokens": 8000}
        given = {"text": text, "idempotencyKey": idempotency_key, "settings": settings}
        return _sent((await self.ask(origin, key, SEND, {"input": given}, seconds=seconds))["sendMessage"])

    async def go_on(self, origin: str, key: str, reply: str, idempotency_key: str, *, seconds: float = 10) -> Sent:
        """Raises NoAnswer."""
        given = {"reply": reply, "idempotencyKey": idempotency_key}
        return _sent((await self.ask(origin, key, CONTINUE, {"input": given}, seconds=seconds))["continueReply"])

    async def stop(self, origin: str, key: str, generation: str, seen_seq: int | None = None) -> bool:
        """Whether it had ended, or been stopped, already. Raises NoAnswer."""
        told = (await self.ask(origin, key, STOP, {"generation": generation, "seenSeq": seen_seq}))["stopGeneration"]
        if told["__typename"] != "StopGenerationSuccess":
            raise NoAnswer(untyped=json.dumps(told))
        already: bool = told["alreadyEnded"]
        return already

    async def log(self, origin: str, key: str, generation: str) -> Log | None:
        """None: there is no such run. Raises NoAnswer."""
        events, after = list[Event](), 0
        while True:
            told = (await self.ask(origin, key, LOG, {"generation": generation, "after": after}))["generation"]
            if told is None:
                return None
            page, reply = told["events"], told["reply"]
            events += map(_event, page["events"])
            after = page["nextAfter"]
            if page["terminal"] or not page["events"]:
                return Log(told["status"], told["lastSeq"], reply["text"], reply["status"], tuple(events))

    def follow(
        self, origin: str, key: str, generation: str, after: int, *, transport: Transport = "ws", hard: bool = False
    ) -> AsyncGenerator[Event, None]:
        """`hard`: leaving it cuts the connection without a word. Raises Cut."""
        if transport == "ws":
            return follow_ws(origin, key, generation, after, hard=hard)
        return self._follow_sse(origin, key, generation, after)

    async def _follow_sse(self, origin: str, key: str, generation: str, after: int) -> AsyncGenerator[Event, None]:
        body = {"query": EVENTS, "variables": {"generation": generation, "after": after}}
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {key}"}
        try:
            async with self._http.stream(
                "POST", f"{origin}/graphql", json=body, headers=headers, timeout=60
            ) as response:
                if response.status_code != 200:
                    raise Cut("UNAVAILABLE" if response.status_code == 503 else response.status_code)
                async for line in response.aiter_lines():
                    if line == "event: complete":
                        return
                    if line.startswith("data: "):
                        yield _shown(json.loads(line.removeprefix("data: ")))
        except httpx.TransportError as error:
            raise Cut from error
        raise Cut


async def follow_ws(
    origin: str, key: str, generation: str, after: int, *, hard: bool = False
) -> AsyncGenerator[Event, None]:
    """Raises Cut."""
    try:
        connection = await opened(origin, key)
    except (OSError, TimeoutError, InvalidHandshake, EOFError) as error:
        raise Cut from error
    try:
        await subscribe(connection, generation, after)
        while (message := json.loads(await connection.recv()))["type"] != "complete":
            match message["type"]:
                case "next":
                    yield _shown(message["payload"])
                case "error":
                    raise Cut(message["payload"][0]["extensions"]["code"])
                case "ping":
                    await connection.send('{"type": "pong"}')
    except ConnectionClosed as closed:
        raise Cut(_code(closed)) from closed
    finally:
        if hard:
            connection.transport.abort()
        await connection.close()


async def opened(origin: str, key: str, *, unread: int = 64, receive_buffer: int | None = None) -> ClientConnection:
    """A socket that is acknowledged. What is sent to it waits in `receive_buffer` bytes, and in so many `unread` messages.

    Raises Cut, and what connecting raises.
    """
    address = f"{origin.replace('http', 'ws', 1)}/graphql"
    connection = await connect(
        address,
        subprotocols=[SUBPROTOCOL],
        proxy=None,
        ping_interval=None,
        close_timeout=0.5,
        max_queue=unread,
        sock=await _small(origin, receive_buffer) if receive_buffer else None,
    )
    try:
        payload = {"Authorization": f"Bearer {key}"}
        await connection.send(json.dumps({"type": "connection_init", "payload": payload}))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while json.loads(await connection.recv())["type"] != "connection_ack":
                continue
    except ConnectionClosed as closed:
        raise Cut(_code(closed)) from closed
    except BaseException:
        connection.transport.abort()
        raise
    return connection


async def _small(origin: str, receive_buffer: int) -> socket.socket:
    """Without it the kernel takes megabytes in for a client that does not read."""
    parts = urlsplit(origin)
    small = socket.socket()
    small.setblocking(False)
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(small, (parts.hostname, parts.port))
    return small


async def subscribe(connection: ClientConnection, generation: str, after: int, name: str = "1") -> None:
    payload = {"query": EVENTS, "variables": {"generation": generation, "after": after}}
    await connection.send(json.dumps({"id": name, "type": "subscribe", "payload": payload}))


def _code(closed: ConnectionClosed) -> int | str:
    if closed.rcvd is None:
        return 1006
    return "INTERNAL" if closed.rcvd.reason.startswith("Internal") else closed.rcvd.code


def _data(answer: httpx.Response) -> dict[str, Any]:
    try:
        told = answer.json()
        if "errors" in told:
            raise NoAnswer(told["errors"][0]["extensions"]["code"], untyped=_driver_text(answer.text))
        data: dict[str, Any] = told["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise NoAnswer(untyped=f"{answer.status_code} {answer.text[:300]}") from error
    return data


def _sent(told: dict[str, Any]) -> Sent:
    if told["__typename"] != "SendMessageSuccess":
        raise NoAnswer(told["code"]) if "code" in told else NoAnswer(untyped=json.dumps(told))
    return Sent(told["conversation"]["id"], told["reply"]["id"], told["generation"]["id"], told["replayed"])


# Words of the parts behind gus, which are none of its clients' business.
_OF_DRIVERS = (
    "asyncpg",
    "postgres",
    "tortoise",
    "backend",
    "administrator",
    "errno",
    "socket",
    "traceback",
    "sqlstate",
)


def _driver_text(text: str) -> str | None:
    return text[:300] if any(word in text.lower() for word in _OF_DRIVERS) else None


def _shown(payload: dict[str, Any]) -> Event:
    if payload.get("errors"):
        raise Cut(payload["errors"][0]["extensions"]["code"])
    return _event(payload["data"]["generationEvents"])


def _event(told: dict[str, Any]) -> Event:
    return Event(
        kind=told["__typename"],
        seq=told["seq"],
        at=datetime.fromisoformat(told["at"]).timestamp(),
        text=told.get("text", ""),
        offset=told.get("offset"),
        length=told.get("length"),
        attempt=told.get("attempt"),
        status=told.get("status"),
    )
