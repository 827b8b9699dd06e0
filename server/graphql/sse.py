"""graphql-sse, distinct connections mode: one operation, one stream of `next` events and a `complete`."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import msgspec
from litestar.types import Receive, Send

from domain.errors import NotAuthenticated
from server.graphql.admission import Credential
from server.graphql.connections import Connections, TooManyConnections
from server.graphql.errors import (
    ClientLeft,
    Code,
    ErrorPayload,
    RequestError,
    error_payload,
    throttled,
    unavailable,
)
from server.graphql.failures import Failures
from server.graphql.keeping import Draining, Keeper
from server.graphql.leaving import until_gone
from server.graphql.limits import TransportLimits
from server.graphql.operation import Operation

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
    (b"vary", b"Accept"),
]
# LF only: there are clients that split at LF LF.
HEARTBEAT = b":\n\n"
COMPLETE = b"event: complete\ndata:\n\n"


@dataclass(frozen=True, slots=True)
class EventStreams:
    connections: Connections
    keeper: Keeper
    limits: TransportLimits

    async def serve(self, operation: Operation, receive: Receive, send: Send, credential: Credential | None) -> None:
        if self.connections.draining.is_set():
            raise unavailable("This process is going away: the same request reaches another one.", 1.0)
        try:
            with self.connections.opened(), await self._place(credential):
                await _start(send)
                await self._follow(operation, receive, send, credential)
        except TooManyConnections:
            raise throttled("You have too many open connections: close one first.", 5.0) from None

    async def answer(self, send: Send, payload: bytes) -> None:
        await _start(send)
        await _chunk(send, _next(payload))
        await _end(send, ())

    async def refuse(self, send: Send, error: RequestError) -> None:
        await _start(send)
        await _end(send, error.errors)

    async def _place(self, credential: Credential | None) -> AbstractContextManager[None]:
        if credential is None:
            return nullcontext()
        return self.connections.of((await credential.viewer()).id)

    async def _follow(self, operation: Operation, receive: Receive, send: Send, credential: Credential | None) -> None:
        complete, errors = True, list[ErrorPayload]()
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(until_gone(receive))
                keeping = tasks.create_task(self.keeper.keep(credential, lambda: _chunk(send, HEARTBEAT)))
                await operation.follow(lambda payload: _chunk(send, _next(payload)))
                watching.cancel()
                keeping.cancel()
        except* (ClientLeft, Draining):
            # Ended without `complete`: a client that is still there takes the stream up again elsewhere.
            complete = False
        except* Exception as group:
            errors += _payloads(group.exceptions[0])
        await (_end(send, errors) if complete else _hang_up(send))


def _payloads(error: Exception) -> Sequence[ErrorPayload]:
    if isinstance(error, RequestError):
        return error.errors
    if isinstance(error, NotAuthenticated):
        return [error_payload(Code.UNAUTHENTICATED, error.message)]
    return [Failures().exception_payload(error)]


async def _start(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})


async def _end(send: Send, errors: Sequence[ErrorPayload]) -> None:
    failed = _next(msgspec.json.encode({"errors": errors})) if errors else b""
    await send({"type": "http.response.body", "body": failed + COMPLETE, "more_body": False})


async def _hang_up(send: Send) -> None:
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _chunk(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


def _next(payload: bytes) -> bytes:
    # The encoder escapes line breaks: one `data:` line is enough.
    return b"event: next\ndata: " + payload + b"\n\n"
