import asyncio
from datetime import timedelta

import asyncpg
import pytest
from asyncpg.connection import LoggedQuery

from domain.errors import Unavailable, Unstorable
from domain.model import ModelKey
from domain.user import Role, User
from domain.world import UserId
from repositories.database import Database, open_database
from repositories.generation.log import SqlTokenLog
from repositories.user import SqlUsers
from tests.repositories.story import LEASE, NODE, NOW, WORLD, Story, new_conversation


async def test_a_server_that_is_not_there_is_unavailable_without_the_drivers_words() -> None:
    with pytest.raises(Unavailable) as refused:
        async with open_database("postgresql://nobody:secret@localhost:1/nothing", 1):
            pass
    assert str(refused.value) == "The database does not answer now: try again."


async def test_a_connection_that_is_cut_is_unavailable_and_then_replaced(story: Story) -> None:
    await story.conversation()
    with pytest.raises(Unavailable):
        await story.database.fetch("SELECT pg_terminate_backend(pg_backend_pid())")
    for _ in range(20):
        await story.conversation()


async def test_a_transaction_cut_in_the_middle_is_unavailable(story: Story) -> None:
    conversation = new_conversation(story.owner)
    with pytest.raises(Unavailable):  # noqa: PT012
        async with story.conversations.writing() as writing:
            await writing.open(conversation)
            await terminate_others(story.database)
            await writing.lock(story.owner, conversation.id)
    assert await story.conversations.conversations(story.owner, [conversation.id]) == {}


async def test_a_pool_with_no_connection_left_is_unavailable(database_url: str) -> None:
    patience = timedelta(milliseconds=50)
    async with open_database(database_url, 1, patience=patience) as database, database.session():
        with pytest.raises(Unavailable):
            await database.fetch("SELECT 1")


async def test_what_keeps_runs_alive_does_not_wait_for_a_connection(database_url: str) -> None:
    async with open_database(database_url, 3, patience=timedelta(milliseconds=50)) as database, database.session():
        with pytest.raises(Unavailable):
            await database.fetch("SELECT 1")
        log = SqlTokenLog(database)
        await log.renew(NODE, [], LEASE)
        assert await log.append([]) == {}
        assert await log.stops(NODE) == {}
        # The next renewal comes after these.
        await log.know([ModelKey("m")])
        assert await log.abandoned(1) == []
        assert await log.forsaken(LEASE, 1) == []


async def test_a_lock_that_is_not_given_is_unavailable(database_url: str) -> None:
    async with open_database(database_url, 4, patience=timedelta(milliseconds=50)) as database:
        story = await Story.begun(database)
        conversation = await story.conversation()
        async with story.conversations.writing() as first, story.conversations.writing() as second:
            await first.lock(story.owner, conversation.id)
            with pytest.raises(Unavailable):
                await second.lock(story.owner, conversation.id)


async def test_a_cancelled_transaction_leaves_nothing_and_its_connection_is_whole(story: Story) -> None:
    conversation = new_conversation(story.owner)

    async def write() -> None:
        async with story.database.transaction() as session, story.conversations.writing() as writing:
            await writing.open(conversation)
            await session.fetch("SELECT pg_sleep(60)")

    writing = asyncio.create_task(write())
    await asyncio.wait([writing], timeout=0.2)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await story.conversations.conversations(story.owner, [conversation.id]) == {}
    for _ in range(20):
        assert await story.database.fetch("SELECT 1 AS one") == [(1,)]


async def test_tortoise_refuses_a_nul_without_its_words(story: Story) -> None:
    eve = User(UserId(WORLD.new_id()), "secret\0", Role.USER, NOW)
    with pytest.raises(Unstorable) as refused:
        await SqlUsers(story.database).add_user(eve)
    assert "secret" not in str(refused.value)


async def test_behind_a_transaction_pooler_nothing_is_kept_in_the_session(
    database_url: str, statements: list[LoggedQuery]
) -> None:
    async with open_database(f"{database_url}&statement_cache_size=0", 2, statements.append) as database:
        story = await Story.begun(database)
        conversation = await story.conversation()
        [message] = await story.say(conversation.id, None, "hello")
        assert (await story.message(message.id)).text == "hello"
        assert await database.fetch("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''") == [(0,)]
    assert outside_of_transactions(statements) == ["SELECT 1"]  # without values, so in one step


async def test_two_databases_are_open_side_by_side(database: Database, database_url: str) -> None:
    async with open_database(database_url, 2) as other:
        story = await Story.begun(other)
        assert await SqlUsers(database).user(story.owner) == await SqlUsers(other).user(story.owner)
    assert await SqlUsers(database).user(story.owner) is not None


async def test_a_task_that_was_there_before_finds_the_database(database_url: str) -> None:
    """Litestar serves requests in tasks that never saw the lifespan's context."""
    opened: asyncio.Future[Database] = asyncio.get_running_loop().create_future()

    async def request() -> list[User]:
        return list((await SqlUsers(await opened).users_by_id([UserId(WORLD.new_id())])).values())

    waiting = asyncio.create_task(request())
    await asyncio.sleep(0)
    async with open_database(database_url, 2) as database:
        opened.set_result(database)
        assert await waiting == []


async def test_a_session_runs_with_our_settings(database: Database) -> None:
    found = [
        (await database.fetch(f"SHOW {name}"))[0][0]
        for name in ("application_name", "timezone", "jit", "statement_timeout", "plan_cache_mode")
    ]
    assert found == ["gus", "UTC", "off", "30s", "force_generic_plan"]


@pytest.mark.parametrize("pooled", [False, True])
async def test_no_lock_of_a_silent_transaction_lasts(database_url: str, pooled: bool) -> None:
    url = f"{database_url}&statement_cache_size={0 if pooled else 9}"
    async with open_database(url, 1) as database, database.transaction() as session:
        found = [
            (await session.fetch(f"SHOW {name}"))[0][0]
            for name in ("lock_timeout", "idle_in_transaction_session_timeout")
        ]
    assert found == ["5s", "5s"]


async def test_a_transaction_that_was_silent_for_too_long_is_unavailable(story: Story) -> None:
    with pytest.raises(Unavailable):  # noqa: PT012
        async with story.database.transaction() as session:
            await session.fetch("SELECT 1 FROM users FOR UPDATE")
            [mine] = await session.fetch(
                "SELECT pg_backend_pid() AS pid, set_config('idle_in_transaction_session_timeout', '1', true)"
            )
            while await story.database.fetch("SELECT 1 FROM pg_stat_activity WHERE pid = $1", mine["pid"]):
                pass
            await session.fetch("SELECT 1")


def outside_of_transactions(statements: list[LoggedQuery]) -> list[str]:
    outside, inside = [], False
    for logged in statements:
        inside = inside or logged.query.startswith("BEGIN")
        if not inside:
            outside.append(logged.query)
        inside = inside and not logged.query.startswith("COMMIT")
    return outside


async def terminate_others(database: Database) -> None:
    await database.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


async def test_a_mistake_in_a_statement_is_a_bug_and_rises(database: Database) -> None:
    with pytest.raises(asyncpg.UndefinedColumnError):
        await database.fetch("SELECT nothing")
    with pytest.raises(asyncpg.InterfaceError):
        await database.fetch("SELECT $1::int")
