"""Counting by the model's own server where it can; else by weight, in the ratio that its answers have shown."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Protocol

from domain.errors import Unavailable
from domain.model import Model, ModelKey, Models, Speaker, Turn
from domain.window.scale import AROUND_TURN, UNKNOWN_RATIO, Scale
from domain.world import World

logger = logging.getLogger("gus.tokens")

PERIOD = timedelta(seconds=10)
# A server that is started again may have another template.
TEMPLATE_KEPT_FOR = timedelta(minutes=10)
MOST_TEMPLATES = 1000
# By English alone one learns 0.8, and then undercounts Polish or Korean by a quarter: see how weights lie around the truth.
LOWEST_RATIO, HIGHEST_RATIO = 1.0, 4.0

PROBE = Turn(Speaker.USER, "a")
PROBE_TOKENS = 1
PROBED_PAIR = (PROBE, Turn(Speaker.ASSISTANT, "a"), PROBE)


class Ratios(Protocol):
    async def ratios(self, models: Sequence[ModelKey]) -> Mapping[ModelKey, float]:
        """Of each model that has answered enough: tokens counted by its server to a unit of weight, nearly the highest of late.

        Answers to prompts that the server has cut do not count.
        """


@dataclass(frozen=True, slots=True)
class Counts:
    """`said`, `begun`: the tokens of the two texts. `exact`: the server has counted them."""

    scale: Scale
    said: int
    begun: int
    exact: bool


class Tokens:
    """What a process remembers of templates and ratios it can ask for again at any time."""

    def __init__(self, models: Models, ratios: Ratios, world: World) -> None:
        self._models, self._stored, self._world = models, ratios, world
        self._ratios: Mapping[ModelKey, float] = {}
        self._templates: OrderedDict[tuple[str, tuple[Turn, ...]], tuple[datetime, int]] = OrderedDict()

    async def run(self) -> None:
        """For as long as the process lives: what one process learns, all know after a period."""
        while True:
            await self.refresh()
            await asyncio.sleep(PERIOD.total_seconds())

    async def refresh(self) -> None:
        try:
            self._ratios = await self._stored.ratios(self._models.keys)
        except Unavailable:
            logger.warning("storage cannot be reached; token estimates stay as they are")

    async def count(self, model: Model, system: Sequence[Turn], said: str, begun: str = "") -> Counts:
        """Under these system turns. Counting must not hold up an answer: a server that is slow to count is not waited for."""
        ratio = min(max(self._ratios.get(model.key, UNKNOWN_RATIO), LOWEST_RATIO), HIGHEST_RATIO)
        scale = await self._scale(model, tuple(system), ratio)
        texts = await asyncio.gather(*(self._text(model, text) for text in (said, begun) if text and scale.measured))
        tokens = [scale.tokens(text, counted) for text, counted in zip_longest((said, begun), texts)]
        return Counts(scale, tokens[0], tokens[1], exact=scale.measured and None not in texts)

    async def _scale(self, model: Model, system: tuple[Turn, ...], ratio: float) -> Scale:
        probes = ((PROBE,), PROBED_PAIR, (*system, PROBE))
        alone, pair, under = await asyncio.gather(*(self._template(model, probe) for probe in probes))
        if alone is None or pair is None or under is None:
            estimated = Scale(ratio=ratio)
            extra = sum(estimated.tokens(turn.text) + AROUND_TURN for turn in system)
            return replace(estimated, around=estimated.around + extra)
        template = pair - alone - 2 * PROBE_TOKENS
        user = template // 2
        return Scale(under - PROBE_TOKENS, user, template - user, ratio, measured=True)

    async def _template(self, model: Model, probe: tuple[Turn, ...]) -> int | None:
        key, now = (model.tokenizer, probe), self._world.now()
        known = self._templates.get(key)
        if known is not None and now - known[0] < TEMPLATE_KEPT_FOR:
            return known[1]
        counted = await self._models.server(model).prompt_tokens(model.name_at_provider, probe)
        if counted is not None:
            self._templates[key] = now, counted
            if len(self._templates) > MOST_TEMPLATES:
                self._templates.popitem(last=False)
        return counted

    async def _text(self, model: Model, text: str) -> int | None:
        alone = await self._template(model, (PROBE,))
        turn = Turn(Speaker.USER, text)
        counted = await self._models.server(model).prompt_tokens(model.name_at_provider, (turn,))
        return None if counted is None or alone is None else max(counted - alone + PROBE_TOKENS, 1)
