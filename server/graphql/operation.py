"""One operation that may run: its answer, or its events, as JSON."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import msgspec
from graphql import (
    ExecutionResult,
    Executor,
    OperationType,
    create_source_event_stream,
    execute_subscription_event,
)

from domain.errors import Gone
from domain.throttle import RateLimit
from server.graphql.body import GraphQLRequest
from server.graphql.documents import Document
from server.graphql.errors import ClientLeft, Code, ErrorPayload, RequestError, error_payload
from server.graphql.extensions import Extensions
from server.graphql.failures import Failures, cause_of
from server.graphql.plain import PlainEvents
from server.graphql.turns import Turns

NOTHING: Mapping[str, object] = {}

Deliver = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Operation:
    """`deadline` is for an answer, for opening a stream, and for each of its events, not for a stream as a whole."""

    request: GraphQLRequest
    document: Document
    executor: Executor[Any]
    extensions: Extensions
    make_context: Callable[[], object]
    deadline: timedelta
    cost: int
    rate_limit: RateLimit | None
    turns: Turns

    @property
    def kind(self) -> OperationType:
        return self.executor.operation.operation

    async def answer(self) -> bytes:
        """Never raises, but when it is cancelled."""
        try:
            async with self._around():
                return _encode(await self._in_time(self._execute), self._extensions())
        except Exception as error:
            return _encode_failure([Failures().exception_payload(error)])
        finally:
            _let_go(self.executor)

    async def follow(self, deliver: Deliver) -> None:
        """Delivers the stream event by event, as fast as `deliver` takes them. RequestError: the stream failed."""
        async with self._around():
            source, plain, turn = await self._source(), PlainEvents(self.executor), self.turns.turn()
            try:
                async for event in source:
                    data = plain.answer(event)
                    payload = _encode_payload({"data": data}) if data is not None else await self._event(event)
                    if payload is not None:
                        await deliver(payload)
                    await turn.give_way()
            except (ClientLeft, RequestError):
                raise
            except Exception as error:
                raise RequestError([Failures().exception_payload(error)], about_document=True) from None
            finally:
                await _close(source)
                _let_go(self.executor)

    async def _execute(self) -> object:
        async with self.turns.to_answer(self.cost):
            result = self.executor.execute_operation()
            return await result if isinstance(result, Awaitable) else result

    async def _source(self) -> AsyncIterable[object]:
        try:
            async with asyncio.timeout(self.deadline.total_seconds()):
                source = create_source_event_stream(self.executor)
                if isinstance(source, Awaitable):
                    source = await source
        except TimeoutError:
            raise RequestError([self._timed_out()], about_document=True) from None
        if isinstance(source, ExecutionResult):
            raise RequestError(Failures().payloads(source.errors or ()), about_document=True)
        return source

    async def _event(self, event: object) -> bytes | None:
        """None: what it tells of was deleted meanwhile, and the stream will say so, or end."""
        executor = self.executor.build_per_event_executor(event)
        # A stream may live for days: what a loader has cached must not outlive the event.
        executor.context_value = self.make_context()
        async with self.turns.to_answer(self.cost):
            result = execute_subscription_event(executor)
            told = result if isinstance(result, ExecutionResult) else await self._in_time(lambda: result)
        _let_go(executor)
        return None if _is_gone(told) else _encode(told)

    async def _in_time(self, execute: Callable[[], object]) -> ExecutionResult | ErrorPayload:
        """What resolvers raise ends up in the result, so the TimeoutError is the deadline's own."""
        try:
            async with asyncio.timeout(self.deadline.total_seconds()):
                result = execute()
                if isinstance(result, Awaitable):
                    result = await result
        except TimeoutError:
            return self._timed_out()
        return cast(ExecutionResult, result)

    def _extensions(self) -> dict[str, object]:
        """Beside `data`; not on the events of a subscription, which was charged once."""
        spent = self.rate_limit
        if spent is None:
            return {}
        reset_at = spent.reset_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        cost = {"requested": spent.cost, "limit": spent.limit, "remaining": spent.remaining, "resetAt": reset_at}
        return {"extensions": {"cost": cost}}

    def _timed_out(self) -> ErrorPayload:
        seconds = self.deadline.total_seconds()
        return error_payload(Code.TIMEOUT, f"The operation took longer than {seconds:g} s: ask for less at once.")

    def _around(self) -> AbstractAsyncContextManager[None]:
        return self.extensions.around(self.request, self.document, self.executor.context_value)


def _is_gone(result: ExecutionResult | ErrorPayload) -> bool:
    errors = result.errors if isinstance(result, ExecutionResult) else None
    return any(isinstance(cause_of(error), Gone) for error in errors or ())


def _encode(result: ExecutionResult | ErrorPayload, extensions: Mapping[str, object] = NOTHING) -> bytes:
    if not isinstance(result, ExecutionResult):
        return _encode_failure([result])
    if not result.errors:
        return _encode_payload({"data": result.data, **extensions})
    return _encode_payload({"errors": Failures().payloads(result.errors), "data": result.data, **extensions})


def _encode_payload(payload: object) -> bytes:
    try:
        return msgspec.json.encode(payload)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        # A resolver gave something that JSON cannot hold, half of a surrogate pair for one.
        return _encode_failure([Failures().exception_payload(error)])


def _encode_failure(errors: list[ErrorPayload]) -> bytes:
    return msgspec.json.encode({"errors": errors, "data": None})


def _let_go(executor: Executor[Any]) -> None:
    """When all is executed. It holds methods of its own, and would stay, with all it has read, until a garbage collection."""
    del executor.async_helpers


async def _close(source: AsyncIterable[object]) -> None:
    """A generator that is not closed would run its cleanup whenever the garbage collector comes."""
    if isinstance(source, AsyncGenerator):
        await source.aclose()
