"""Asking a model what nobody waits for: the cheapest that is up, and never in the way of a reply."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import assert_never

from domain.errors import GenerationErrorCode, ModelFailure
from domain.generation.log import Line
from domain.generation.runs import QUEUE, QUEUE_POLL
from domain.generation.said import reported_usage
from domain.generation.wakes import Wakes
from domain.job import Job, NotNow
from domain.model import (
    AnswerEnd,
    Model,
    ModelFinishReason,
    ModelHealth,
    ModelRequest,
    Models,
    Piece,
    ReasoningPiece,
    TextPiece,
    Turn,
    Usage,
    UsageSource,
)
from domain.usage import CallLog, ModelCall, UsagePurpose
from domain.window.scale import Scale
from domain.world import CallId, UserId, World

LONGEST_CALL = timedelta(minutes=2)
TOKENS_AROUND_TURNS = 64
# A server that lists no models is UNKNOWN, and may well answer.
UP = frozenset({ModelHealth.UP, ModelHealth.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Question:
    purpose: UsagePurpose
    turns: tuple[Turn, ...]
    max_output_tokens: int
    temperature: float = 0.0
    stop: tuple[str, ...] = ()

    @property
    def estimated_tokens(self) -> int:
        return TOKENS_AROUND_TURNS + sum(Scale().tokens(turn.text) for turn in self.turns)


@dataclass(slots=True)
class Answer:
    """As far as it has come; `reason` None: it is not whole."""

    model: Model
    pieces: list[str] = field(default_factory=list)
    reasoning_pieces: int = 0
    reason: ModelFinishReason | None = None
    counted: Usage | None = None
    refused: bool = False

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def count(self, question: Question) -> None:
        """As reported, else by us: servers stream one token to a piece. It stays None when nobody has worked on it."""
        produced = len(self.pieces) + self.reasoning_pieces
        if self.counted is None and (produced or not self.refused):
            source = UsageSource.PARTIAL if self.reason is None else UsageSource.ESTIMATED
            self.counted = Usage(question.estimated_tokens, produced, source, reasoning_tokens=self.reasoning_pieces)


class BackgroundCalls:
    def __init__(
        self,
        models: Models,
        calls: CallLog,
        wakes: Wakes,
        world: World,
        *,
        lines: Callable[[], Iterable[Line]],
        allowed: Callable[[UserId], Awaitable[Sequence[Model]]],
    ) -> None:
        """`allowed`: what a user may use; nothing is asked for their sake of another model."""
        self._models, self._calls, self._wakes, self._world = models, calls, wakes, world
        self._lines, self._allowed = lines, allowed

    async def ask(self, job: Job, question: Question) -> Answer:
        """Raises NotNow (no model is up, or a reply needs its server), ModelFailure, TimeoutError, Unavailable."""
        model = await self._cheapest(question, await self._allowed(job.owner_id))
        scarce = (line for line in self._lines() if line.capacity is not None)
        line = next((line for line in scarce if model.key in line.models), None)
        call = self._call(job, question, model)
        if not await self._calls.begin(call, line):
            raise NotNow
        answer = Answer(model)
        try:
            async with asyncio.timeout(LONGEST_CALL.total_seconds()):
                await self._unless_needed(line, self._hear(question, answer))
        finally:
            answer.count(question)
            await self._calls.end(call, answer.counted, model.cost(answer.counted) if answer.counted else None)
        return answer

    async def most_tokens(self, owner: UserId, output_tokens: int) -> int:
        """What a question of theirs may hold at most for an answer of so many: some model takes it."""
        return max((model.context_window for model in await self._allowed(owner)), default=0) - output_tokens

    async def _cheapest(self, question: Question, allowed: Sequence[Model]) -> Model:
        """Raises NotNow."""
        tokens = question.estimated_tokens
        most = Usage(tokens, question.max_output_tokens, UsageSource.ESTIMATED)
        fitting = [model for model in allowed if tokens + question.max_output_tokens <= model.context_window]
        for model in sorted(fitting, key=lambda model: model.cost(most)):
            if await self._models.health(model) in UP:
                return model
        raise NotNow

    def _call(self, job: Job, question: Question, model: Model) -> ModelCall:
        return ModelCall(
            CallId(self._world.new_id()),
            job.owner_id,
            job.conversation_id,
            question.purpose,
            model.key,
        )

    async def _hear(self, question: Question, answer: Answer) -> None:
        request = ModelRequest(
            answer.model.name_at_provider,
            question.turns,
            question.max_output_tokens,
            temperature=question.temperature,
            stop=question.stop,
            context_window=answer.model.context_window,
        )
        try:
            async with aclosing(self._models.server(answer.model).answer(request)) as pieces:
                async for piece in pieces:
                    _take(answer, piece)
        except ModelFailure as failure:
            answer.refused = True
            if failure.code is not GenerationErrorCode.MODEL_ANSWERED_NOTHING:
                raise

    async def _unless_needed(self, line: Line | None, asking: Coroutine[None, None, None]) -> None:
        """Asks, and lets go of the server as soon as a run needs it. Raises NotNow."""
        if line is None:
            await asking
            return
        hearing, giving_way = asyncio.ensure_future(asking), asyncio.ensure_future(self._until_crowded(line))
        try:
            await asyncio.wait({hearing, giving_way}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            was_heard = hearing.done()
            hearing.cancel()
            giving_way.cancel()
            await asyncio.wait({hearing, giving_way})
        if not was_heard:
            giving_way.result()
            raise NotNow
        hearing.result()

    async def _until_crowded(self, line: Line) -> None:
        with self._wakes.watching(QUEUE) as woken:
            while not await self._calls.is_crowded(line):
                await woken.wait_at_most(QUEUE_POLL)
                woken.clear()


def _take(answer: Answer, piece: Piece) -> None:
    match piece:
        case TextPiece(text):
            answer.pieces.append(text)
        case ReasoningPiece():
            answer.reasoning_pieces += 1
        case AnswerEnd(reason, reported):
            answer.reason = reason
            answer.counted = reported_usage(reported) if reported else None
        case _:
            assert_never(piece)
