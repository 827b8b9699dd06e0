"""Summaries stand on a place of the tree: which paths they are found from, and that each is kept once."""

import asyncio

import pytest
from asyncpg.connection import LoggedQuery

from domain.message import Message
from domain.model import ModelKey
from domain.window.summary import ContextSummary, Standing
from domain.world import ConversationId, SummaryId
from repositories.summary import SqlSummaries
from tests.repositories.story import NOW, WORLD, Story


def of(through: Message, text: str = "They spoke of trees.") -> ContextSummary:
    summary = SummaryId(WORLD.new_id())
    return ContextSummary(summary, text, through.id, through.depth, ModelKey("llama"), 5, NOW)


@pytest.fixture
async def conversation(story: Story) -> ConversationId:
    return (await story.conversation()).id


@pytest.fixture
async def trunk(story: Story, conversation: ConversationId) -> list[Message]:
    return await story.say(conversation, None, *(str(depth) for depth in range(10)))


async def test_every_branch_below_what_it_covers_shares_it(
    story: Story, conversation: ConversationId, trunk: list[Message]
) -> None:
    summaries, summary = SqlSummaries(story.database), of(trunk[5])
    assert await summaries.add(story.owner, summary, None)
    below = await story.say(conversation, await story.message(trunk[5].id), "5a")
    further = await story.say(conversation, await story.message(trunk[8].id), "8a")
    deepest = await story.say(conversation, further[-1], "8b")
    for leaf in (trunk[5], trunk[9], *below, *further, *deepest):
        assert (await summaries.standing(story.owner, leaf.id)).summary == summary


async def test_a_branch_that_forks_above_it_does_not(
    story: Story, conversation: ConversationId, trunk: list[Message]
) -> None:
    summaries = SqlSummaries(story.database)
    await summaries.add(story.owner, of(trunk[5]), None)
    [above] = await story.say(conversation, await story.message(trunk[4].id), "4a")
    [other_root] = await story.say(conversation, None, "another beginning")
    for leaf in (trunk[4], above, other_root):
        assert (await summaries.standing(story.owner, leaf.id)).summary is None


async def test_of_several_the_one_that_covers_the_most_is_found(
    story: Story, conversation: ConversationId, trunk: list[Message]
) -> None:
    summaries, first, second = SqlSummaries(story.database), of(trunk[3]), of(trunk[7])
    await summaries.add(story.owner, first, None)
    await summaries.add(story.owner, second, first.id)
    assert (await summaries.standing(story.owner, trunk[9].id)).summary == second
    assert (await summaries.standing(story.owner, trunk[6].id)).summary == first
    assert await summaries.by_id(story.owner, [first.id, second.id]) == {first.id: first, second.id: second}


async def test_a_place_has_one_however_many_are_made_at_once(story: Story, trunk: list[Message]) -> None:
    summaries = SqlSummaries(story.database)
    added = await asyncio.gather(*(summaries.add(story.owner, of(trunk[5], str(n)), None) for n in range(10)))
    assert sum(added) == 1


async def test_what_is_not_theirs_or_was_deleted_has_none(story: Story, trunk: list[Message]) -> None:
    summaries, summary, bob = SqlSummaries(story.database), of(trunk[5]), await Story.begun(story.database)
    assert not await summaries.add(bob.owner, of(trunk[5]), None)
    await summaries.add(story.owner, summary, None)
    assert (await summaries.standing(bob.owner, trunk[9].id)).summary is None
    assert await summaries.by_id(bob.owner, [summary.id]) == {}
    async with story.conversations.writing() as writing:
        await writing.delete(story.owner, trunk[0].conversation_id, NOW)
    assert (await summaries.standing(story.owner, trunk[9].id)).summary is None
    assert not await summaries.add(story.owner, of(trunk[6]), None)
    while await story.conversations.purge_deleted(100):
        continue
    assert await story.database.fetch("SELECT 1 FROM context_summaries") == []


async def test_it_is_found_in_one_statement(story: Story, trunk: list[Message], statements: list[LoggedQuery]) -> None:
    statements.clear()
    await SqlSummaries(story.database).standing(story.owner, trunk[9].id)
    assert len(statements) == 1


async def test_a_refused_one_stands_beside_the_summary_until_one_is_made_there(
    story: Story, trunk: list[Message]
) -> None:
    summaries, first, second = SqlSummaries(story.database), of(trunk[3]), of(trunk[7])
    await summaries.add(story.owner, first, None)
    for through in (trunk[5], trunk[7], trunk[7], trunk[3]):
        await summaries.refuse(story.owner, SummaryId(WORLD.new_id()), through.id)
    assert await summaries.standing(story.owner, trunk[9].id) == Standing(first, refused_at=7)
    assert await summaries.standing(story.owner, trunk[6].id) == Standing(first, refused_at=5)
    assert await summaries.add(story.owner, second, first.id)
    assert not await summaries.add(story.owner, of(trunk[7]), first.id)
    assert await summaries.standing(story.owner, trunk[9].id) == Standing(second, refused_at=5)
    assert await summaries.by_id(story.owner, [second.id]) == {second.id: second}
