"""Operations that are answered bit by bit over HTTP, in the frames of one protocol or another."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

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
from server.graphql.operation import Operation


class Frames(Protocol):
    """How a protocol writes: what it begins with, each result, the errors that end a stream, and its last word."""

    @property
    def content_type(self) -> str: ...
    @property
    def opening(self) -> bytes: ...
    @property
    def heartbeat(self) -> bytes: ...
    @property
    def complete(self) -> bytes: ...

    def result(self, payload: bytes) -> bytes: ...
    def failure(self, errors: Sequence[ErrorPayload]) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Streams:
    connections: Connections
    keeper: Keeper

    async def serve(
        self, operation: Operation, receive: Receive, stream: "Stream", credential: Credential | None, *, address: str
    ) -> None:
        """Raises RequestError before it has begun."""
        if self.connections.draining.is_set():
            raise unavailable("This process is going away: the same request reaches another one.", 1.0)
        try:
            with (
                self.connections.opened(),
                self.connections.from_address(address),
                await self._place(credential),
            ):
                await stream.start()
                await self._follow(operation, receive, stream, credential)
        except TooManyConnections:
            raise throttled("You, or your address, have too many open connections: close one first.", 5.0) from None

    async def _place(self, credential: Credential | None) -> AbstractContextManager[None]:
        if credential is None:
            return nullcontext()
        return self.connections.users.of((await credential.viewer()).id)

    async def _follow(
        self, operation: Operation, receive: Receive, stream: "Stream", credential: Credential | None
    ) -> None:
        complete, errors = True, list[ErrorPayload]()
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(until_gone(receive))
                keeping = tasks.create_task(self.keeper.keep(credential, stream.beat))
                await operation.follow(stream.tell)
                watching.cancel()
                keeping.cancel()
        except* (ClientLeft, Draining):
            # Ended without `complete`: a client that is still there takes the stream up again elsewhere.
            complete = False
        except* Exception as group:
            errors += _payloads(group.exceptions[0])
        await (stream.end(errors) if complete else stream.hang_up())


@dataclass(frozen=True, slots=True)
class Stream:
    """One response."""

    frames: Frames
    send: Send

    async def answer(self, payload: bytes) -> None:
        await self.start()
        await self.tell(payload)
        await self.end(())

    async def refuse(self, error: RequestError) -> None:
        await self.start()
        await self.end(error.errors)

    async def start(self) -> None:
        headers = [
            (b"content-type", self.frames.content_type.encode()),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
            (b"vary", b"Accept"),
        ]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})
        if self.frames.opening:
            await self._write(self.frames.opening)

    async def tell(self, payload: bytes) -> None:
        await self._write(self.frames.result(payload))

    async def beat(self) -> None:
        await self._write(self.frames.heartbeat)

    async def end(self, errors: Sequence[ErrorPayload]) -> None:
        failure = self.frames.failure(errors) if errors else b""
        await self._write(failure + self.frames.complete, more=False)

    async def hang_up(self) -> None:
        await self._write(b"", more=False)

    async def _write(self, body: bytes, *, more: bool = True) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": more})


def _payloads(error: Exception) -> Sequence[ErrorPayload]:
    if isinstance(error, RequestError):
        return error.errors
    if isinstance(error, NotAuthenticated):
        return [error_payload(Code.UNAUTHENTICATED, error.message)]
    return [Failures().exception_payload(error)]
