"""What the state machine goes by sees what it is to see: each of these is done to the rows of a good tree."""

import asyncpg
import pytest

from resolvers.node import uuid_of
from server.compose import Gus
from tests.graphql.flaws import changes, flaws
from tests.graphql.forest import Forest, stored
from tests.graphql.front_end import FrontEnd, here, script

_SECOND = "SELECT id FROM messages WHERE sibling_index = 2"
_LAST = "SELECT id FROM messages ORDER BY depth DESC LIMIT 1"

FLAWS = {
    "an index of siblings": f"UPDATE messages SET sibling_index = 3 WHERE id IN ({_SECOND})",
    "a number": f"UPDATE messages SET number = 99 WHERE id IN ({_LAST})",
    "a depth": f"UPDATE messages SET depth = 99 WHERE id IN ({_LAST})",
    "a cycle": f"UPDATE messages SET parent_id = ({_LAST}) WHERE depth = 1",
    "a count of children": "UPDATE messages SET child_count = child_count + 1 WHERE depth = 1",
    "a count of messages": "UPDATE conversations SET message_count = message_count + 1",
    "a count of roots": "UPDATE conversations SET root_count = root_count + 1",
    "an active leaf that is none": "UPDATE conversations SET active_leaf_id = (SELECT id FROM messages WHERE number = 1)",
    "a branch's end": "UPDATE branches SET tip_number = tip_number - 1",
    "a branch's fork": "UPDATE branches SET fork_depth = fork_depth + 1 WHERE fork_depth IS NOT NULL",
    "a reply that nobody writes": "UPDATE messages SET status = 'STREAMING' WHERE role = 'ASSISTANT'",
    "runs beside one another": "UPDATE generations SET status = 'RUNNING', ended_at = NULL",
    "a nano-dollar of a conversation": "UPDATE conversations SET used_cost_nano = used_cost_nano + 1",
    "a nano-dollar of a run": "UPDATE generations SET cost_nano = cost_nano + 1",
    "a word that was not billed": "UPDATE generations SET output_tokens = output_tokens - 1",
}
CHANGES = {
    "a text": f"UPDATE messages SET text = 'Nothing.' WHERE id IN ({_LAST})",
    "a place": "UPDATE messages SET sibling_index = sibling_index + 2 WHERE depth = 1",
    "a message that is gone": f"DELETE FROM messages WHERE id IN ({_LAST})",
    "a version": "UPDATE conversations SET event_seq = event_seq - 1",
    "an end": "UPDATE generations SET stop_requested_at = now()",
}


@pytest.fixture
async def forest(ada: FrontEnd, gus: Gus) -> Forest:
    """Two turns, the first answered twice."""
    first = await ada.said(script(words=2))
    again = await ada.regenerate(first["reply"]["id"])
    await ada.followed(again["generation"]["id"])
    await ada.said(script(words=2), **here(first))
    forest = await seen(ada, gus)
    assert flaws(forest) == []
    return forest


async def seen(ada: FrontEnd, gus: Gus) -> Forest:
    owner = uuid_of("User", (await ada.ask("{viewer {user {id}}}"))["viewer"]["user"]["id"])
    assert owner is not None
    return await stored(gus.database, owner)


async def harm(database_url: str, done: str) -> None:
    """Without the triggers and references that would not let it happen."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f"SET session_replication_role = replica; {done}")
    finally:
        await connection.close()


@pytest.mark.parametrize("done", FLAWS.values(), ids=FLAWS)
async def test_a_flaw_is_seen(ada: FrontEnd, gus: Gus, forest: Forest, database_url: str, done: str) -> None:
    await harm(database_url, done)
    assert flaws(await seen(ada, gus)) != []


@pytest.mark.parametrize("done", CHANGES.values(), ids=CHANGES)
async def test_a_change_of_what_stays_is_seen(
    ada: FrontEnd, gus: Gus, forest: Forest, database_url: str, done: str
) -> None:
    await harm(database_url, done)
    assert changes(forest, await seen(ada, gus)) != []
