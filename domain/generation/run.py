"""One run: ask the model, write what it says into the log, end exactly once."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import assert_never
from uuid import UUID

from domain.errors import GenerationErrorCode, ModelFailure
from domain.generation.asking import Asking, AskPolicy, Fallback
from domain.generation.ending import end_patiently, tell_of_end, text_through
from domain.generation.entity import (
    HOPELESS,
    Ending,
    FinishReason,
    GenerationError,
    GenerationStatus,
    Notice,
    NoticeCode,
)
from domain.generation.log import NewNotice, NewStart, StopRequest, TokenLog
from domain.generation.prepare import Order
from domain.generation.wakes import Wakes
from domain.generation.writer import LogWriter
from domain.model import (
    AnswerEnd,
    ModelCapability,
    ModelFinishReason,
    Piece,
    ReasoningPiece,
    ReportedUsage,
    TextPiece,
    TokenCount,
    Usage,
    UsageSource,
)
from domain.text import is_blank

logger = logging.getLogger("gus.run")

# Estimates err upwards by half at most, but for short prompts.
SHORT_PROMPT_TOKENS = 300
LEAST_SHARE = 0.4
_TRUNCATED = Notice(
    NoticeCode.PROVIDER_TRUNCATED,
    "The model server read only a part of what it was sent: its own window is smaller than ours for this model.",
)
# Woken when a reply is left for another process to go on with.
HANDED_OVER = UUID(int=2)


@dataclass(frozen=True, slots=True)
class RunPolicy:
    total: timedelta = timedelta(minutes=10)
    asking: AskPolicy = field(default_factory=AskPolicy)


class Run:
    def __init__(
        self,
        order: Order,
        asking: Asking,
        log: TokenLog,
        writer: LogWriter,
        wakes: Wakes,
        *,
        total: timedelta,
        on_awaited: Callable[[], None],
    ) -> None:
        """`on_awaited` is called when it has ended and others waited for that."""
        self._order, self._given, self._asking, self._total = order, order, asking, total
        self._fallbacks = 0
        self._log, self._writer, self._wakes = log, writer, wakes
        self._on_awaited = on_awaited
        self._out = writer.open(order.generation, self._log_changed)
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._text_tokens = self._reasoning_tokens = 0
        self._notices: list[Notice] = []
        self._end: AnswerEnd | None = None
        self._reading: asyncio.Task[object] | None = None
        self._halted: FinishReason | None = None
        self._request: StopRequest | None = None
        self._over = False

    async def play(self) -> None:
        """Never raises: a run that cannot be ended here loses its lease, and is ended by whoever finds it."""
        try:
            ending = await self._answer()
            self._over = True
            await self._finish(ending)
        except Exception:  # the outermost owner of this task: one run must not take the others with it
            logger.exception("a run could not be ended")
        finally:
            self._writer.close(self._out)

    def stop(self, request: StopRequest) -> None:
        """The first one wins; one that comes after the answer's end changes nothing. May be called before `play`."""
        if self._halted is None and not self._over:
            self._request = request
            self._halt(request.reason)

    def leave(self) -> None:
        """The process is going away: what has delivered nothing is handed over, all else ends with its text."""
        self._halt(FinishReason.SERVER_LOST)

    def _log_changed(self) -> None:
        if self._out.stop is not None:
            self.stop(self._out.stop)
        else:
            self._halt(FinishReason.ERROR)

    def _halt(self, reason: FinishReason) -> None:
        if self._halted is None and not self._over:
            self._halted = reason
            if self._reading is not None:
                self._reading.cancel()

    def _is_halted(self) -> bool:
        return self._halted is not None

    async def _answer(self) -> Ending:
        try:
            self._notice(*self._order.notices)
            async with asyncio.timeout(self._total.total_seconds()):
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
        if self._is_halted():
            return
        reading = self._reading = asyncio.current_task()
        assert reading is not None
        try:
            async with aclosing(self._asking.pieces()) as pieces:
                async for piece in pieces:
                    await self._take(piece)
        except asyncio.CancelledError:
            if not self._is_halted():
                raise
            reading.uncancel()
        finally:
            self._reading = None

    async def _take(self, piece: Piece | Fallback) -> None:
        match piece:
            case TextPiece():
                await self._say(piece)
            case ReasoningPiece(text, tokens):
                self._reasoning.append(text)
                self._reasoning_tokens += tokens
                await self._out.write(text, tokens, reasoning=True)
            case Fallback(order):
                self._turn_to(order)
            case AnswerEnd():
                self._end = piece
                if truncated(self._given.generation.estimated_input_tokens, piece.usage):
                    self._notice(_TRUNCATED)
            case _:
                assert_never(piece)

    async def _say(self, piece: TextPiece) -> None:
        text = piece.text
        if not self._text and self._order.kept != self._order.kept.rstrip():
            # The kept text ends in white space, which the model was not shown and may say again.
            text = text.lstrip()
        if text:
            self._text.append(text)
            self._text_tokens += piece.tokens
            await self._out.write(text, piece.tokens)

    def _turn_to(self, order: Order) -> None:
        self._given, key = order, order.model.key
        self._fallbacks += 1
        self._notice(
            Notice(NoticeCode.MODEL_FALLBACK, f"{self._order.model.key} did not answer: {key} is asked instead.")
        )
        attempt = self._order.generation.attempt + self._fallbacks
        self._out.note(NewStart(attempt, key, order.request.max_output_tokens))
        self._notice(*order.notices)

    def _notice(self, *notices: Notice) -> None:
        if notices:
            self._notices += notices
            self._out.note(*map(NewNotice, notices))

    @property
    def _delivered(self) -> bool:
        return bool(self._text or self._reasoning)

    def _ended(self) -> Ending:
        match self._halted:
            case None if self._end is not None:
                reported = self._end.usage
                usage = reported_usage(reported) if reported else self._counted(UsageSource.ESTIMATED)
                return self._ending(GenerationStatus.COMPLETED, _REASONS[self._end.reason], usage)
            case None | FinishReason.ERROR:
                return self._failed(ModelFailure(GenerationErrorCode.INTERNAL, retryable=True))
            case FinishReason.SERVER_LOST:
                lost = GenerationError(GenerationErrorCode.SERVER_LOST, retryable=True)
                ending = self._ending(GenerationStatus.INTERRUPTED, FinishReason.SERVER_LOST, self._partial(), lost)
                return replace(ending, handed_over=self._can_go_on(ending.text))
            case reason:
                return self._ending(GenerationStatus.STOPPED, reason, self._partial())

    def _can_go_on(self, text: str) -> bool:
        return not is_blank(text) and ModelCapability.CONTINUE in self._given.model.capabilities

    def _failed(self, failure: ModelFailure) -> Ending:
        error = GenerationError(failure.code, failure.code not in HOPELESS, failure.retry_after)
        usage = self._partial() if self._delivered else None
        return self._ending(GenerationStatus.FAILED, FinishReason.ERROR, usage, error)

    def _ending(
        self, status: GenerationStatus, reason: FinishReason, usage: Usage | None, error: GenerationError | None = None
    ) -> Ending:
        return Ending(
            status,
            reason,
            self._order.kept + "".join(self._text),
            usage=usage,
            reasoning="".join(self._reasoning) or None,
            error=error,
            model_key=self._given.model.key,
            notices=tuple(self._notices),
            attempts=tuple(self._asking.attempts),
            tokens=self._tokens(status, usage),
        )

    def _tokens(self, status: GenerationStatus, usage: Usage | None) -> TokenCount | None:
        """Of a reply that was written in one go. White space and an end mark of the model's may be among them."""
        whole = status is GenerationStatus.COMPLETED and not self._order.kept
        if not (whole and usage and usage.source is UsageSource.PROVIDER and not self._reasoning):
            return None
        return TokenCount(self._given.model.tokenizer, usage.output_tokens)

    def _partial(self) -> Usage | None:
        """None: nobody was asked."""
        return self._counted(UsageSource.PARTIAL) if self._asking.attempts else None

    def _counted(self, source: UsageSource) -> Usage:
        """Servers stream one token to a delta."""
        produced = self._text_tokens + self._reasoning_tokens
        estimate = self._given.generation.estimated_input_tokens
        return Usage(estimate, produced, source, reasoning_tokens=self._reasoning_tokens)

    async def _finish(self, ending: Ending) -> None:
        await self._out.flush()
        if self._out.lost:
            return
        if ending.finish_reason is FinishReason.SERVER_LOST and not self._delivered:
            await self._log.give_back(self._order.generation)
            self._on_awaited()
            return
        if self._out.failure is not None:
            logger.error("deltas could not be stored", exc_info=self._out.failure)
            ending = replace(ending, text=await text_through(self._log, self._order.generation, None, self._order.kept))
        generation, kept, previous = self._order.generation, self._order.kept, self._out.last_seq
        ended = await end_patiently(
            self._log, generation, self._given.model, ending, previous=previous, kept=kept, stop=self._request
        )
        if ended.awaited:
            self._on_awaited()
        tell_of_end(self._wakes, generation, ended)
        if ending.handed_over:
            self._wakes.wake([HANDED_OVER])


def truncated(estimate: int, usage: ReportedUsage | None) -> bool:
    """The server counted far less than it was sent. One that reports 0 counts nothing."""
    return usage is not None and estimate > SHORT_PROMPT_TOKENS and 0 < usage.input_tokens < estimate * LEAST_SHARE


def reported_usage(usage: ReportedUsage) -> Usage:
    return Usage(
        usage.input_tokens, usage.output_tokens, UsageSource.PROVIDER, usage.cached_input_tokens, usage.reasoning_tokens
    )


_REASONS = {
    ModelFinishReason.STOP: FinishReason.STOP,
    ModelFinishReason.LENGTH: FinishReason.LENGTH,
    ModelFinishReason.CONTENT_FILTER: FinishReason.CONTENT_FILTER,
}
