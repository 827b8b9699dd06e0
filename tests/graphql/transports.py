"""One operation over HTTP, as an event stream, or on a socket: everything that is answered, on a real port."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from itertools import count
from typing import Any

import httpx
from graphql import OperationType
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.graphql.generated import Operation

MOST_EVENTS = 5
A_MOMENT = 0.3
LONGEST_ANSWER_SECONDS = 40

Answer = dict[str, Any]


class Misbehaved(Exception):
    """No operation, whatever it asks, may be answered in this way."""


class Caller:
    """`socket` None: a visitor's, whom no socket lets in."""

    def __init__(self, http: httpx.AsyncClient, socket: ClientConnection | None) -> None:
        self._http, self._socket = http, socket
        self._ids = count()

    @property
    def ways(self) -> Mapping[str, Callable[[Operation], Awaitable[list[Answer]]]]:
        return {"post": self.post, "stream": self.stream, "socket": self.on_socket if self._socket else self.post}

    async def post(self, operation: Operation) -> list[Answer]:
        response = await self._http.post("/graphql", content=_body(operation), headers={"Accept": "application/json"})
        return [_whole(response)]

    async def stream(self, operation: Operation) -> list[Answer]:
        """Of a subscription what comes within a moment."""
        accept = {"Accept": "text/event-stream"}
        async with self._http.stream("POST", "/graphql", content=_body(operation), headers=accept) as response:
            if response.headers["content-type"] != "text/event-stream; charset=utf-8":
                await response.aread()
                return [_whole(response)]
            return await _heard(operation, _events(response))

    async def on_socket(self, operation: Operation) -> list[Answer]:
        """As above. All operations of a caller share one socket."""
        assert self._socket is not None
        id = str(next(self._ids))
        try:
            await self._socket.send(_message(id, "subscribe", _envelope(operation)))
            answers = await _heard(operation, _messages(self._socket, id))
            await self._socket.send(_message(id, "complete"))
        except ConnectionClosed as closed:
            raise Misbehaved(f"the socket was closed: {closed}") from None
        return answers


@asynccontextmanager
async def calling(url: str, secret: str | None) -> AsyncIterator[Caller]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {secret}"} if secret else {})
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=LONGEST_ANSWER_SECONDS) as http:
        if secret is None:
            yield Caller(http, None)
            return
        address, protocols = f"{url.replace('http', 'ws')}/graphql", [Subprotocol("graphql-transport-ws")]
        async with connect(address, subprotocols=protocols, compression=None, ping_interval=None) as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": headers}))
            assert json.loads(await socket.recv()) == {"type": "connection_ack"}
            yield Caller(http, socket)


async def _heard(operation: Operation, answers: AsyncGenerator[Answer, None]) -> list[Answer]:
    """All of it, which ends by itself; of a subscription the beginning."""
    heard = list[Answer]()
    is_endless = operation.kind is OperationType.SUBSCRIPTION
    try:
        async with aclosing(answers), asyncio.timeout(A_MOMENT if is_endless else LONGEST_ANSWER_SECONDS):
            async for answer in answers:
                heard.append(answer)
                if is_endless and len(heard) >= MOST_EVENTS:
                    break
    except TimeoutError:
        if not is_endless:
            raise Misbehaved("it was never answered to its end") from None
    if not is_endless and len(heard) != 1:
        raise Misbehaved(f"it was answered {len(heard)} times: {heard}")
    return heard


async def _events(response: httpx.Response) -> AsyncGenerator[Answer, None]:
    event = ""
    async for line in response.aiter_lines():
        name, _, value = line.partition(":")
        if name == "event":
            event = value.strip()
        elif name == "data" and event == "next":
            yield json.loads(value)
        elif name == "data" and event == "complete":
            return
    raise Misbehaved("the stream ended without complete")


async def _messages(socket: ClientConnection, id: str) -> AsyncGenerator[Answer, None]:
    while True:
        message = json.loads(await socket.recv())
        if message["type"] == "ping":
            await socket.send('{"type":"pong"}')
        # What was on its way when an earlier one was completed comes too.
        elif message.get("id") == id:
            match message["type"]:
                case "next":
                    yield message["payload"]
                case "error":
                    yield {"errors": message["payload"]}
                    return
                case "complete":
                    return
                case other:
                    raise Misbehaved(f"a message of the type {other}")


def _whole(response: httpx.Response) -> Answer:
    if response.status_code >= 500:
        raise Misbehaved(f"{response.status_code}: {response.text}")
    with suppress(ValueError):
        return dict(response.json())
    raise Misbehaved(f"{response.status_code}, and no JSON: {response.text}")


def _message(id: str, type: str, payload: Answer | None = None) -> str:
    return json.dumps({"id": id, "type": type} | ({} if payload is None else {"payload": payload}))


def _envelope(operation: Operation) -> Answer:
    return {"query": operation.document, "variables": operation.variables}


def _body(operation: Operation) -> bytes:
    return json.dumps(_envelope(operation)).encode()
