"""One run: ask the model, write what it says into the log, end exactly once."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import assert_never
from uuid import UUID

from domain.errors import GenerationErrorCode, ModelFailure
from domain.generation.asking import Asking, AskPolicy, Fallback
from domain.generation.ending import end_patiently, tell_of_end, text_now
from domain.generation.entity import (
    HOPELESS,
    Ending,
    FinishReason,
    GenerationError,
    GenerationStatus,
    Notice,
    NoticeCode,
)
from domain.generation.log import NewNotice, NewStart, StopRequest, TokenLog, TruncationReason
from domain.generation.prepare import Order
from domain.generation.said import Said
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
)
from domain.response_format import JsonChecker
from domain.text import is_blank, units

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


class Spent(Exception):
    """The model goes on past what its answer may take."""


class Run:
    def __init__(
        self,
        order: Order,
        asking: Asking,
        log: TokenLog,
        writer: LogWriter,
        wakes: Wakes,
        *,
        checker: JsonChecker,
        total: timedelta,
        on_awaited: Callable[[], None],
    ) -> None:
        """`on_awaited` is called when it has ended and others waited for that."""
        self._order, self._given, self._asking, self._total = order, order, asking, total
        self._fallbacks = 0
        self._log, self._writer, self._wakes = log, writer, wakes
        self._on_awaited, self._checker = on_awaited, checker
        self._out = writer.open(order.generation, self._log_changed)
        self._said = Said(order.kept, order.generation.estimated_input_tokens)
        self._notices: list[Notice] = []
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
            await self._read(self._asking.pieces())
            await self._hold_to_form()
        except Spent:
            self._halted = self._halted or FinishReason.BUDGET
        except asyncio.CancelledError:
            if not self._is_halted():
                raise
            reading.uncancel()
        finally:
            self._reading = None

    async def _read(self, answer: AsyncGenerator[Piece | Fallback, None]) -> None:
        async with aclosing(answer) as pieces:
            async for piece in pieces:
                await self._take(piece)

    async def _hold_to_form(self) -> None:
        """An answer that does not have its form is asked for once more. Raises ModelFailure."""
        form, problem = self._order.generation.settings.response_format, await self._problem()
        if form is None or problem is None:
            return
        self._said.refuse()
        try:
            await self._read(self._asking.again(form, problem))
        except ModelFailure as failure:
            if self._said.refused:
                # Nothing came in its place.
                raise ModelFailure(GenerationErrorCode.INVALID_JSON, retryable=True) from failure
            raise
        if await self._problem() is not None:
            raise ModelFailure(GenerationErrorCode.INVALID_JSON, retryable=True)
        self._notice(Notice(NoticeCode.OUTPUT_REPAIRED, "The first answer was not the JSON that was asked for."))

    async def _problem(self) -> str | None:
        form = self._order.generation.settings.response_format
        return await self._checker.answer_problem(self._said.text, form) if form is not None else None

    async def _take(self, piece: Piece | Fallback) -> None:
        """Raises Spent."""
        if isinstance(piece, TextPiece | ReasoningPiece):
            self._require_room(piece.tokens)
        match piece:
            case TextPiece():
                await self._say(piece)
            case ReasoningPiece(text, tokens):
                self._said.think(piece)
                await self._out.write(text, tokens, reasoning=True)
            case Fallback(order):
                self._turn_to(order)
            case AnswerEnd():
                self._said.end = piece
                if truncated(self._given.generation.estimated_input_tokens, piece.usage):
                    self._notice(_TRUNCATED)
            case _:
                assert_never(piece)

    def _require_room(self, tokens: int) -> None:
        """No more was asked for, and no more is reserved. Servers that keep to `max_tokens` never come here. Raises Spent."""
        if self._said.tokens + tokens > self._given.request.max_output_tokens:
            raise Spent

    async def _say(self, piece: TextPiece) -> None:
        if self._said.refused:
            self._said.withdraw()
            self._out.cut(units(self._order.kept), TruncationReason.REPAIR)
        if text := self._said.say(piece):
            await self._out.write(text, piece.tokens)

    def _turn_to(self, order: Order) -> None:
        self._given, key = order, order.model.key
        self._said.estimate = order.generation.estimated_input_tokens
        self._fallbacks += 1
        self._notice(
            Notice(NoticeCode.MODEL_FALLBACK, f"{self._order.model.key} did not answer: {key} is asked instead.")
        )
        attempt = self._order.generation.attempt + self._fallbacks
        self._out.note(NewStart(attempt, key, order.request.max_output_tokens))
        self._notice(*order.notices)

    def _notice(self, *notices: Notice) -> None:
        new = [notice for notice in notices if notice not in self._notices]
        self._notices += new
        if new:
            self._out.note(*map(NewNotice, new))

    def _ended(self) -> Ending:
        match self._halted:
            case None if self._said.end is not None:
                reason = _REASONS[self._said.end.reason]
                return self._ending(GenerationStatus.COMPLETED, reason, self._said.usage(asked=True))
            case None | FinishReason.ERROR:
                return self._failed(ModelFailure(GenerationErrorCode.INTERNAL, retryable=True))
            case FinishReason.SERVER_LOST:
                lost = GenerationError(GenerationErrorCode.SERVER_LOST, retryable=True)
                ending = self._ending(GenerationStatus.INTERRUPTED, FinishReason.SERVER_LOST, self._partial(), lost)
                return replace(ending, handed_over=self._can_go_on)
            case reason:
                return self._ending(GenerationStatus.STOPPED, reason, self._partial())

    @property
    def _can_go_on(self) -> bool:
        """From its text: one that was whole, and is checked or to be replaced, is nothing to go on from."""
        whole = self._said.refused or self._said.end is not None
        return not (whole or is_blank(self._said.text)) and ModelCapability.CONTINUE in self._given.model.capabilities

    def _failed(self, failure: ModelFailure) -> Ending:
        error = GenerationError(failure.code, failure.code not in HOPELESS, failure.retry_after)
        usage = self._said.usage(asked=False)
        return self._ending(GenerationStatus.FAILED, FinishReason.ERROR, usage, error)

    def _ending(
        self, status: GenerationStatus, reason: FinishReason, usage: Usage | None, error: GenerationError | None = None
    ) -> Ending:
        return Ending(
            status,
            reason,
            self._said.text,
            usage=usage,
            reasoning=self._said.reasoning,
            error=error,
            model_key=self._given.model.key,
            notices=tuple(self._notices),
            attempts=tuple(self._asking.attempts),
            tokens=self._tokens(status),
        )

    def _tokens(self, status: GenerationStatus) -> TokenCount | None:
        """Of a reply that was written in one go. White space and an end mark of the model's may be among them."""
        whole = status is GenerationStatus.COMPLETED and not self._order.kept and not self._said.reasoning
        usage = self._said.end.usage if self._said.end else None
        return TokenCount(self._given.model.tokenizer, usage.output_tokens) if whole and usage else None

    def _partial(self) -> Usage | None:
        """None: nobody was asked."""
        return self._said.usage(asked=bool(self._asking.attempts))

    async def _finish(self, ending: Ending) -> None:
        await self._out.flush()
        if self._out.lost:
            return
        if ending.finish_reason is FinishReason.SERVER_LOST and not self._said.delivered:
            await self._log.give_back(self._order.generation)
            self._on_awaited()
            return
        if self._out.failure is not None:
            logger.error("deltas could not be stored", exc_info=self._out.failure)
            ending = replace(ending, text=await text_now(self._log, self._order.generation, self._order.kept))
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


_REASONS = {
    ModelFinishReason.STOP: FinishReason.STOP,
    ModelFinishReason.LENGTH: FinishReason.LENGTH,
    ModelFinishReason.CONTENT_FILTER: FinishReason.CONTENT_FILTER,
}
