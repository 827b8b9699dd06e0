"""As many conversations as a user may have, whoever opens them at once and by whatever way."""

import asyncio

import asyncpg
import pytest

from domain.errors import LimitReached
from repositories.conversation.store import SqlConversations
from repositories.database import Database
from tests.repositories.racing import STARTING_GUN, raced
from tests.repositories.story import NOW, WORLD, Story, new_conversation

MOST = 7


async def counted(story: Story) -> tuple[int, int]:
    """What is written down, and what there is."""
    [row] = await story.database.fetch(
        "SELECT conversation_count, (SELECT count(*) FROM conversations WHERE owner_id = u.id AND deleted_at IS NULL) AS there "
        "FROM users u WHERE id = $1",
        story.owner,
    )
    return row["conversation_count"], row["there"]


@pytest.mark.parametrize("tries", [20, pytest.param(100, marks=pytest.mark.prove)])
async def test_of_many_openings_and_forks_at_once_in_two_processes_exactly_as_many_as_may_be_succeed(
    story: Story, database_url: str, tries: int
) -> None:
    await story.say((await story.conversation()).id, None, "What is a tree?")
    gun = await asyncpg.connect(database_url)
    await gun.execute("SELECT pg_advisory_lock($1)", STARTING_GUN)
    racing = asyncio.ensure_future(raced(*[("open_many", database_url, story.owner, tries, MOST)] * 2))
    while len(await story.database.fetch("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")) < 2:
        await asyncio.sleep(0.01)
    await gun.close()
    # One was there before.
    assert sum(map(int, await racing)) == MOST - 1
    assert await counted(story) == (MOST, MOST)


async def test_what_is_deleted_makes_room_once(story: Story, database: Database) -> None:
    store = SqlConversations(database, WORLD, 1)
    conversation = await story.conversation()
    with pytest.raises(LimitReached):
        await store.require_room(story.owner)
    for _ in range(2):
        async with store.writing() as writing:
            await writing.delete(story.owner, conversation.id, NOW)
    assert await counted(story) == (0, 0)
    await store.require_room(story.owner)
    async with store.writing() as writing:
        await writing.open(new_conversation(story.owner))
    with pytest.raises(LimitReached):
        async with store.writing() as writing:
            await writing.open(new_conversation(story.owner))
    assert await counted(story) == (1, 1)
