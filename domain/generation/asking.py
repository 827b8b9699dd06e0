"""Asking a model until one answers: again after a pause, or its fallbacks, and never after the first token."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.errors import ContextTooLarge, GenerationErrorCode, ModelFailure
from domain.generation.circuit import Circuits
from domain.generation.entity import AttemptOutcome, ProviderAttempt
from domain.generation.prepare import BeyondLimits, Order, Preparation
from domain.generation.repair import asked_once_more
from domain.model import AnswerEnd, Model, ModelCapability, Models, Piece
from domain.response_format import ResponseFormat
from domain.world import World

MOST_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class AskPolicy:
    """`tries`: at most so many of a model without fallbacks. `longest_pause`: a server that asks for more is given up."""

    tries: int = 4
    first_pause: timedelta = timedelta(milliseconds=500)
    longest_pause: timedelta = timedelta(seconds=10)
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class Fallback:
    """From here on another model is asked."""

    order: Order


class Asking:
    """One question. `attempts` grows with each try, also with the one that is cancelled."""

    def __init__(
        self,
        order: Order,
        models: Models,
        preparation: Preparation,
        circuits: Circuits,
        world: World,
        policy: AskPolicy,
    ) -> None:
        self._order, self._models, self._preparation = order, models, preparation
        self._circuits, self._world, self._policy = circuits, world, policy
        self._delivered = False
        self.attempts: list[ProviderAttempt] = []

    def pieces(self) -> AsyncGenerator[Piece | Fallback, None]:
        """Raises ModelFailure when nobody answered: of the last that was asked, or was too dear to be asked."""
        return self._ask(self._plan())

    def again(self, form: ResponseFormat, problem: str) -> AsyncGenerator[Piece | Fallback, None]:
        """The model that has answered, told what is wrong with its answer; no other one. Raises ModelFailure."""
        order, self._delivered = self._order, False
        room = order.model.context_window - order.generation.estimated_input_tokens - order.request.max_output_tokens
        self._order = replace(order, request=asked_once_more(order.request, form, problem, room))
        return self._ask([order.model] * self._policy.tries)

    async def _ask(self, plan: list[Model]) -> AsyncGenerator[Piece | Fallback, None]:
        last = ModelFailure(GenerationErrorCode.MODEL_UNREACHABLE, retryable=True)
        for tried, model in enumerate(plan, start=1):
            try:
                if model.key != self._order.model.key:
                    if not await self._turn_to(model):
                        continue
                    yield Fallback(self._order)
                async with aclosing(self._try()) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except BeyondLimits:
                last = ModelFailure(GenerationErrorCode.QUOTA_EXCEEDED, retryable=True)
                continue
            except ModelFailure as failure:
                last = failure
            if not self._goes_on(last, plan[tried:]):
                raise last
            await self._pause(tried, last, plan[tried])
        raise last

    def _plan(self) -> list[Model]:
        """The model with its fallbacks once each; without any, the model several times."""
        model = self._order.model
        others = [self._models.find(key) for key in model.fallbacks]
        fallbacks = [other for other in others if other is not None and self._can_answer(other)]
        return [model, *fallbacks] if fallbacks else [model] * self._policy.tries

    def _can_answer(self, model: Model) -> bool:
        able = not self._order.request.continues or ModelCapability.CONTINUE in model.capabilities
        return able and not model.retired

    async def _turn_to(self, model: Model) -> bool:
        """False: its window is too small, or there is nothing left to answer. Raises BeyondLimits."""
        try:
            order = await self._preparation.order(self._order.generation, model)
        except ContextTooLarge:
            return False
        self._order = order or self._order
        return order is not None

    async def _try(self) -> AsyncGenerator[Piece, None]:
        provider, started = self._order.model.provider, self._world.now()
        if not self._circuits.admits(provider):
            self._record(started, AttemptOutcome.CIRCUIT_OPEN)
            raise ModelFailure(GenerationErrorCode.MODEL_UNREACHABLE, retryable=True)
        outcome, status = AttemptOutcome.CANCELLED, None
        try:
            async with aclosing(self._models.server(self._order.model).answer(self._order.request)) as pieces:
                async for piece in pieces:
                    self._delivered = self._delivered or not isinstance(piece, AnswerEnd)
                    yield piece
            outcome = AttemptOutcome.ANSWERED
            self._circuits.answered(provider)
        except ModelFailure as failure:
            outcome, status = _outcome(failure), failure.status
            if outcome in _SERVER_FAULTS:
                self._circuits.failed(provider)
            raise
        finally:
            self._record(started, outcome, status)

    def _goes_on(self, failure: ModelFailure, rest: list[Model]) -> bool:
        """After the first token never: the user has seen it."""
        if not rest or self._delivered or not failure.retryable:
            return False
        if rest[0].provider != self._order.model.provider:
            return True
        given_up = self.attempts[-1].outcome is AttemptOutcome.CIRCUIT_OPEN
        return not given_up and (failure.retry_after or 0) <= self._policy.longest_pause.total_seconds()

    async def _pause(self, tried: int, failure: ModelFailure, next_one: Model) -> None:
        """Before the same server is asked again; another one need not wait."""
        if next_one.provider != self._order.model.provider:
            return
        backoff = self._policy.first_pause.total_seconds() * 2.0 ** (tried - 1) * random.uniform(0.5, 1.5)
        longest = self._policy.longest_pause.total_seconds()
        await self._policy.pause(min(max(failure.retry_after or 0, backoff), longest))

    def _record(self, started_at: datetime, outcome: AttemptOutcome, status: int | None = None) -> None:
        model = self._order.model
        attempt = ProviderAttempt(model.provider, model.key, started_at, self._world.now(), outcome, status)
        self.attempts = [*self.attempts, attempt][-MOST_ATTEMPTS:]


_SERVER_FAULTS = frozenset(
    {
        AttemptOutcome.REFUSED_CONNECTION,
        AttemptOutcome.TIMED_OUT,
        AttemptOutcome.RATE_LIMITED,
        AttemptOutcome.SERVER_ERROR,
        AttemptOutcome.CUT_OFF,
    }
)


def _outcome(failure: ModelFailure) -> AttemptOutcome:
    match failure.code:
        case GenerationErrorCode.FIRST_TOKEN_TIMEOUT | GenerationErrorCode.BETWEEN_TOKENS_TIMEOUT:
            return AttemptOutcome.TIMED_OUT
        case GenerationErrorCode.MODEL_OVERLOADED:
            return AttemptOutcome.RATE_LIMITED if failure.status == 429 else AttemptOutcome.SERVER_ERROR
        case GenerationErrorCode.MODEL_UNREACHABLE:
            return AttemptOutcome.SERVER_ERROR if failure.status else AttemptOutcome.REFUSED_CONNECTION
        case GenerationErrorCode.MODEL_BROKE_OFF:
            return AttemptOutcome.CUT_OFF
        case _:
            return AttemptOutcome.BAD_RESPONSE
