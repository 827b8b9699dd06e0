"""One run: ask the model, write what it says into the log, end exactly once."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

from domain.errors import GenerationErrorCode, ModelFailure, Unavailable
from domain.generation.entity import HOPELESS, Ending, FinishReason, Generation, GenerationError, GenerationStatus
from domain.generation.log import StopRequest, TokenLog, read_all, text_of
from domain.generation.wakes import Wakes
from domain.generation.writer import LogWriter
from domain.model import (
    AnswerEnd,
    LanguageModel,
    Model,
    ModelFinishReason,
    ModelRequest,
    Piece,
    ReasoningPiece,
    ReportedUsage,
    TextPiece,
    Usage,
    UsageSource,
)
from domain.text import units

logger = logging.getLogger("gus.run")


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """`tries`: at most so many before the first token. `longest_pause`: a server that asks for more is given up."""

    total: timedelta = timedelta(minutes=10)
    tries: int = 4
    first_pause: timedelta = timedelta(milliseconds=500)
    longest_pause: timedelta = timedelta(seconds=10)
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class Order:
    """All that a run needs."""

    generation: Generation
    model: Model
    request: ModelRequest


class Run:
    def __init__(
        self, order: Order, server: LanguageModel, log: TokenLog, writer: LogWriter, wakes: Wakes, *, policy: RunPolicy
    ) -> None:
        self._order, self._server, self._policy = order, server, policy
        self._log, self._writer, self._wakes = log, writer, wakes
        self._out = writer.open(order.generation, self._log_changed)
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._end: AnswerEnd | None = None
        self._reading: asyncio.Task[object] | None = None
        self._halted: FinishReason | None = None
        self._seen_seq: int | None = None

    async def play(self) -> None:
        """Never raises: a run that cannot be ended here loses its lease, and is ended by whoever finds it."""
        try:
            await self._finish(await self._answer())
        except Exception:  # the outermost owner of this task: one run must not take the others with it
            logger.exception("a run could not be ended")
        finally:
            self._writer.close(self._out)

    def stop(self, request: StopRequest) -> None:
        """The first one wins; one that comes after the answer's end changes nothing."""
        if self._halted is None:
            self._seen_seq = request.seen_seq
            self._halt(FinishReason.USER_STOP)

    def leave(self) -> None:
        """The process is going away."""
        self._halt(FinishReason.SERVER_LOST)

    def _log_changed(self) -> None:
        if self._out.stop is not None:
            self.stop(self._out.stop)
        else:
            self._halt(FinishReason.ERROR)

    def _halt(self, reason: FinishReason) -> None:
        if self._halted is None and self._reading is not None:
            self._halted = reason
            self._reading.cancel()

    async def _answer(self) -> Ending:
        try:
            async with asyncio.timeout(self._policy.total.total_seconds()):
                await self._read_until_halted()
        except ModelFailure as failure:
            return self._failed(failure)
        except TimeoutError:
            ending = self._failed(ModelFailure(GenerationErrorCode.TOTAL_TIMEOUT, retryable=True))
            return replace(ending, status=GenerationStatus.TIMED_OUT, finish_reason=FinishReason.TIMEOUT)
        except Exception:  # the run must still end: its followers wait for it
            logger.exception("a run broke")
            return self._failed(ModelFailure(GenerationErrorCode.INTERNAL, retryable=True))
        return self._ended()

    async def _read_until_halted(self) -> None:
        self._reading = asyncio.current_task()
        try:
            await self._read_with_retries()
        except asyncio.CancelledError:
            if self._halted is None or self._reading is None:
                raise
            self._reading.uncancel()
        finally:
            self._reading = None

    async def _read_with_retries(self) -> None:
        for tried in range(1, self._policy.tries + 1):
            try:
                await self._read_once()
                return
            except ModelFailure as failure:
                pause = self._pause_before_next(tried, failure)
                if pause is None:
                    raise
            await self._policy.pause(pause)

    async def _read_once(self) -> None:
        async with aclosing(self._server.answer(self._order.request)) as pieces:
            async for piece in pieces:
                await self._take(piece)

    def _pause_before_next(self, tried: int, failure: ModelFailure) -> float | None:
        """None: no further try. After the first token there is none: the user has seen it."""
        longest = self._policy.longest_pause.total_seconds()
        delivered = self._text or self._reasoning
        if delivered or not failure.retryable or tried == self._policy.tries or (failure.retry_after or 0) > longest:
            return None
        backoff = self._policy.first_pause.total_seconds() * 2.0 ** (tried - 1) * random.uniform(0.5, 1.5)
        return min(max(failure.retry_after or 0, backoff), longest)

    async def _take(self, piece: Piece) -> None:
        match piece:
            case TextPiece(text):
                self._text.append(text)
                await self._out.write(text)
            case ReasoningPiece(text):
                self._reasoning.append(text)
                await self._out.write(text, reasoning=True)
            case AnswerEnd():
                self._end = piece
            case _:
                assert_never(piece)

    def _ended(self) -> Ending:
        if self._halted is FinishReason.USER_STOP:
            return self._ending(GenerationStatus.STOPPED, FinishReason.USER_STOP, self._partial())
        if self._halted is FinishReason.SERVER_LOST:
            lost = GenerationError(GenerationErrorCode.SERVER_LOST, retryable=True)
            return self._ending(GenerationStatus.INTERRUPTED, FinishReason.SERVER_LOST, self._partial(), lost)
        if self._end is None:
            return self._failed(ModelFailure(GenerationErrorCode.INTERNAL, retryable=True))
        reason, reported = _REASONS[self._end.reason], self._end.usage
        return self._ending(
            GenerationStatus.COMPLETED,
            reason,
            _reported(reported) if reported else self._counted(UsageSource.ESTIMATED),
        )

    def _failed(self, failure: ModelFailure) -> Ending:
        error = GenerationError(failure.code, failure.code not in HOPELESS, failure.retry_after)
        usage = self._partial() if self._text or self._reasoning else None
        return self._ending(GenerationStatus.FAILED, FinishReason.ERROR, usage, error)

    def _ending(
        self, status: GenerationStatus, reason: FinishReason, usage: Usage | None, error: GenerationError | None = None
    ) -> Ending:
        return Ending(status, reason, "".join(self._text), usage, "".join(self._reasoning) or None, error)

    def _partial(self) -> Usage:
        return self._counted(UsageSource.PARTIAL)

    def _counted(self, source: UsageSource) -> Usage:
        """Servers stream one token to a piece."""
        produced = len(self._text) + len(self._reasoning)
        return Usage(
            self._order.generation.estimated_input_tokens, produced, source, reasoning_tokens=len(self._reasoning)
        )

    async def _finish(self, ending: Ending) -> None:
        await self._out.flush()
        if self._out.lost:
            return
        if self._out.failure is not None:
            logger.error("deltas could not be stored", exc_info=self._out.failure)
            ending = replace(ending, text=await self._text_through(None))
        kept = await self._text_through(self._seen_seq) if self._seen_seq is not None else ending.text
        cut_to = units(kept) if len(kept) < len(ending.text) else None
        ending, order = replace(ending, text=kept), self._order
        await finish_patiently(
            self._log, order.generation, order.model, ending, previous=self._out.last_seq, cut_to=cut_to
        )
        self._wakes.wake([self._order.generation.id])

    async def _text_through(self, seq: int | None) -> str:
        entries = await read_all(self._log, self._order.generation.id)
        return text_of([entry for entry in entries if seq is None or entry.seq <= seq])


async def finish_patiently(
    log: TokenLog, generation: Generation, model: Model, ending: Ending, *, previous: int, cut_to: int | None = None
) -> None:
    """Through an outage of the database. Of two calls, by whatever process, one takes effect."""
    while True:
        try:
            await log.finish(generation, ending, ending.cost(model), previous=previous, cut_to=cut_to)
            return
        except Unavailable as outage:
            await asyncio.sleep(outage.retry_after)


def _reported(usage: ReportedUsage) -> Usage:
    return Usage(
        usage.input_tokens, usage.output_tokens, UsageSource.PROVIDER, usage.cached_input_tokens, usage.reasoning_tokens
    )


_REASONS = {
    ModelFinishReason.STOP: FinishReason.STOP,
    ModelFinishReason.LENGTH: FinishReason.LENGTH,
    ModelFinishReason.CONTENT_FILTER: FinishReason.CONTENT_FILTER,
}
