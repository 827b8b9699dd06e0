"""Calls besides replies: where a model's server takes only so much, they have what no run needs."""

import asyncio
from datetime import timedelta
from decimal import Decimal

from domain.background import LONGEST_CALL
from domain.generation.log import Line
from domain.model import ModelKey, Usage, UsageSource
from domain.usage import ModelCall, UsagePurpose
from domain.world import CallId, ConversationId
from repositories.usage import SqlCalls
from tests.repositories.story import LEASE, NODE, WORLD, Story

NARROW = Line("here", (ModelKey("llama"),), 1)
WIDE = Line("here", (ModelKey("llama"),), 3)


def call(story: Story) -> ModelCall:
    conversation = ConversationId(WORLD.new_id())
    return ModelCall(CallId(WORLD.new_id()), story.owner, conversation, UsagePurpose.TITLE, ModelKey("llama"))


async def begun(story: Story, line: Line | None) -> bool:
    return await SqlCalls(story.database).begin(call(story), line)


async def test_a_call_is_stored_with_what_it_took(story: Story) -> None:
    calls, made = SqlCalls(story.database), call(story)
    assert await calls.begin(made, None)
    await calls.end(made, Usage(7, 3, UsageSource.PROVIDER, 2, 1), Decimal("0.000000123"))
    [row] = await story.database.fetch("SELECT * FROM model_calls")
    assert (row["owner_id"], row["conversation_id"], row["purpose"]) == (story.owner, made.conversation_id, "TITLE")
    assert (row["model_key"], row["input_tokens"], row["output_tokens"]) == ("llama", 7, 3)
    assert (row["cached_input_tokens"], row["reasoning_tokens"], row["usage_source"]) == (2, 1, "PROVIDER")
    assert row["cost_nano"] == 123
    assert row["ended_at"] > row["started_at"]


async def test_calls_share_a_line_with_its_runs(story: Story) -> None:
    await story.queued()
    assert not await begun(story, NARROW)
    assert [await begun(story, WIDE) for _ in range(3)] == [True, True, False]
    await story.log.claim(NODE, LEASE, WIDE, 1)
    assert not await begun(story, WIDE)
    assert [row["line"] for row in await story.database.fetch("SELECT line FROM model_calls")] == ["here"] * 2


async def test_of_calls_that_race_for_a_slot_one_gets_it(story: Story) -> None:
    assert sum(await asyncio.gather(*(begun(story, NARROW) for _ in range(10)))) == 1


async def test_a_line_is_crowded_as_soon_as_a_run_waits(story: Story) -> None:
    calls = SqlCalls(story.database)
    assert await begun(story, NARROW)
    assert not await calls.is_crowded(NARROW)
    await story.queued()
    assert await calls.is_crowded(NARROW)
    assert not await calls.is_crowded(WIDE)


async def test_a_call_that_never_ended_frees_its_slot(story: Story) -> None:
    assert await begun(story, NARROW)
    past = LONGEST_CALL + timedelta(seconds=1)
    await story.database.execute("UPDATE model_calls SET started_at = started_at - $1::interval", past)
    assert await begun(story, NARROW)
