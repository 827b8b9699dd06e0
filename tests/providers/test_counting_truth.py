"""Our estimate of a prompt against what the embedded model's server then counts of it."""

from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from domain.message import MessageRole
from domain.model import LanguageModel, Model, ModelKey, Models, Speaker, Turn
from domain.window.scale import AROUND_PROMPT, AROUND_TURN, Scale, weight
from domain.window.tokens import Tokens
from providers.llama import EmbeddedModel, embedded_entry
from providers.openai import OpenAiServer
from tests.domain.fakes import FakeModel, FakeWorld, OneServer
from tests.providers.prompts import ENGLISH, PROSE, conversations

pytest.importorskip("xllamacpp")

SOME = pytest.mark.parametrize("many", [30, pytest.param(200, marks=pytest.mark.prove)])


class FixedRatio:
    def __init__(self, ratio: float) -> None:
        self._ratio = ratio

    async def ratios(self, models: Sequence[ModelKey]) -> Mapping[ModelKey, float]:
        return dict.fromkeys(models, self._ratio)


@pytest.fixture
async def server() -> AsyncIterator[OpenAiServer]:
    async with EmbeddedModel() as model, OpenAiServer(model.server_config()) as server:
        yield server


async def counted(server: LanguageModel, turns: Sequence[Turn]) -> int:
    tokens = await server.prompt_tokens(embedded_entry().name_at_provider, turns)
    assert tokens is not None
    return tokens


@SOME
async def test_an_estimate_by_counts_is_never_five_percent_below_the_truth(server: OpenAiServer, many: int) -> None:
    model = embedded_entry()
    tokens = Tokens(Models([model], OneServer(server)), FixedRatio(1.0), FakeWorld())
    for turns in conversations(many):
        estimate, truth = await estimated(tokens, model, turns), await counted(server, turns)
        assert 0.95 * truth <= estimate <= 1.05 * truth + 8


async def estimated(tokens: Tokens, model: Model, turns: Sequence[Turn]) -> int:
    """As a window adds them up: each text was counted when it was new."""
    system = [turn for turn in turns if turn.speaker is Speaker.SYSTEM]
    *past, newest = turns[len(system) :]
    counts = await tokens.count(model, system, newest.text)
    assert counts.exact
    total = counts.scale.around + counts.said
    for turn in past:
        once = await tokens.count(model, (), turn.text)
        role = MessageRole.ASSISTANT if turn.speaker is Speaker.ASSISTANT else MessageRole.USER
        total += counts.scale.turn(role, turn.text, once.said)
    return total


@SOME
@pytest.mark.parametrize("languages", [PROSE, ENGLISH], ids=["all", "English"])
async def test_an_estimate_by_calibration_alone_is_never_ten_percent_below_the_truth(
    server: OpenAiServer, many: int, languages: Sequence[str]
) -> None:
    """Calibrated by other conversations, as the database does it: also when all that was learned was English."""
    learned = [(turns, await counted(server, turns)) for turns in conversations(many, seed=2, languages=languages)]
    scale = await calibrated(ratio_of(learned))
    for turns in conversations(many):
        assert by_weight(scale, turns) >= 0.9 * await counted(server, turns), turns[-1].text[:80]


async def calibrated(ratio: float) -> Scale:
    """Of a server that does not count."""
    model = embedded_entry()
    tokens = Tokens(Models([model], OneServer(FakeModel())), FixedRatio(ratio), FakeWorld())
    await tokens.refresh()
    return (await tokens.count(model, (), "a")).scale


def ratio_of(learned: Sequence[tuple[Sequence[Turn], int]]) -> float:
    ratios = sorted((truth - around(turns)) / weighed(turns) for turns, truth in learned if weighed(turns) >= 100)
    return ratios[-(-len(ratios) * 95 // 100) - 1]


def by_weight(scale: Scale, turns: Sequence[Turn]) -> int:
    return around(turns) + sum(scale.tokens(turn.text) for turn in turns)


def around(turns: Sequence[Turn]) -> int:
    return AROUND_PROMPT + AROUND_TURN * len(turns)


def weighed(turns: Sequence[Turn]) -> int:
    return sum(weight(turn.text) for turn in turns)
