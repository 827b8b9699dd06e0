"""What admins say about models while the server runs: kept over the file, and heard by every process."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from domain.errors import InputRule, Unavailable
from domain.generation.wakes import Wakes
from domain.model import NANO_USD, Model, ModelKey, Models
from domain.problems import Problems
from domain.text import is_blank
from domain.user import Viewer, require_admin
from domain.world import UserId, World

logger = logging.getLogger("gus.catalogue")

CHANGED = UUID(int=4)
POLL = timedelta(seconds=1.5)
MOST_MODELS = 200
LONGEST_KEY = 100
LONGEST_NAME = 200
MOST_FALLBACKS = 5
MOST_CONCURRENCY = 100_000
SMALLEST_CONTEXT, LARGEST_CONTEXT = 256, 100_000_000
HIGHEST_PRICE = Decimal(10_000)
KEY_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/-")


@dataclass(frozen=True, slots=True)
class Upserted:
    model: Model
    created: bool


class ModelStore(Protocol):
    async def said(self) -> list[Model]:
        """Every model that an admin has said something about, in the order of their keys."""

    async def say(
        self, model: Model, by: UserId, at: datetime, *, configured: Sequence[ModelKey], most: int
    ) -> bool | None:
        """Whether it is the first word on this key. None where there are `most` others that are not in the file already.

        Exact under any race.
        """


class Catalogue:
    """`providers`: the configured model servers. `changed`: told of the whole catalogue whenever it has changed."""

    def __init__(
        self,
        store: ModelStore,
        models: Models,
        configured: Sequence[Model],
        providers: frozenset[str],
        *,
        wakes: Wakes,
        world: World,
        changed: Callable[[Sequence[Model]], None] = lambda _: None,
    ) -> None:
        self._store, self._models, self._configured, self._providers = store, models, configured, providers
        self._wakes, self._world, self._changed = wakes, world, changed
        self._said: list[Model] = []
        self._reading = asyncio.Lock()

    async def upsert(self, viewer: Viewer, model: Model) -> Upserted:
        """Raises NotAllowed, InvalidInput."""
        require_admin(viewer)
        problems = Problems()
        _check_names(problems, model, self._providers)
        _check_bounds(problems, model)
        self._check_fallbacks(problems, model)
        problems.refuse()
        configured = [known.key for known in self._configured]
        room = MOST_MODELS - len(configured)
        first = await self._store.say(model, viewer.id, self._world.now(), configured=configured, most=room)
        if first is None:
            problems.add(InputRule.TOO_MANY, ("key",), f"There are {MOST_MODELS} models: change one.", MOST_MODELS)
            raise problems.refusal()
        await self.reread()
        self._wakes.wake([CHANGED])
        return Upserted(model, first and model.key not in configured)

    async def run(self) -> None:
        """For ever: what other processes change is seen when they tell it, and else within a poll."""
        with self._wakes.watching(CHANGED) as woken:
            while True:
                await woken.wait_at_most(POLL)
                woken.clear()
                try:
                    await self.reread()
                except Unavailable:
                    logger.warning("storage cannot be reached; changes of models wait")

    async def reread(self) -> None:
        """Raises Unavailable."""
        # One after the other, or what was read first could be what is taken last.
        async with self._reading:
            said = await self._store.said()
            if said != self._said:
                self._said = said
                catalogue = self._overlaid(said)
                self._models.become(catalogue)
                self._changed(catalogue)

    def _overlaid(self, said: Sequence[Model]) -> list[Model]:
        """In the file's order, then the others. What stood with a server that has left the configuration is left out."""
        reachable = {model.key: model for model in said if model.provider in self._providers}
        kept = [reachable.pop(model.key, model) for model in self._configured]
        return [*kept, *reachable.values()]

    def _check_fallbacks(self, problems: Problems, model: Model) -> None:
        if len(model.fallbacks) > MOST_FALLBACKS:
            problems.add(InputRule.TOO_MANY, ("fallbacks",), f"At most {MOST_FALLBACKS}.", MOST_FALLBACKS)
        for index, key in enumerate(model.fallbacks[:MOST_FALLBACKS]):
            if key == model.key or self._models.find(key) is None or key in model.fallbacks[:index]:
                words = "Another model of the catalogue, each once."
                problems.add(InputRule.UNKNOWN_VALUE, ("fallbacks", str(index)), words)


def _check_names(problems: Problems, model: Model, providers: frozenset[str]) -> None:
    _check_key(problems, model.key)
    if model.provider not in providers:
        known = ", ".join(sorted(providers))
        problems.add(InputRule.UNKNOWN_VALUE, ("provider",), f"No model server has this name, only {known}.")
    for field, name in (("nameAtProvider", model.name_at_provider), ("displayName", model.display_name)):
        problems.text(name, (field,), LONGEST_NAME)


def _check_key(problems: Problems, key: ModelKey) -> None:
    problems.length(key, ("key",), LONGEST_KEY)
    if is_blank(key) or not KEY_CHARACTERS.issuperset(key) or not key[0].isalnum():
        problems.add(InputRule.MALFORMED, ("key",), "Letters, digits and ._:/- , a letter or digit first.")


def _check_bounds(problems: Problems, model: Model) -> None:
    problems.within(model.context_window, ("contextWindow",), SMALLEST_CONTEXT, LARGEST_CONTEXT)
    problems.within(model.max_output_tokens, ("maxOutputTokens",), 1, max(1, model.context_window - 1))
    problems.within(model.max_concurrency, ("maxConcurrency",), 1, MOST_CONCURRENCY)
    _check_price(problems, model.input_price_per_million, "inputPricePerMillion")
    _check_price(problems, model.output_price_per_million, "outputPricePerMillion")


def _check_price(problems: Problems, price: Decimal, field: str) -> None:
    if not price.is_finite() or not 0 <= price <= HIGHEST_PRICE:
        words = f"From 0 to {HIGHEST_PRICE} USD for a million tokens."
        problems.add(InputRule.OUT_OF_RANGE, (field,), words, int(HIGHEST_PRICE))
    elif price * NANO_USD % 1:
        problems.add(InputRule.MALFORMED, (field,), "At most nine decimals.")
