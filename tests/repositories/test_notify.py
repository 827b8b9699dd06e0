"""Wake-ups between processes: heard by others, in bounded payloads, again after an outage."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID, uuid4

import asyncpg

from repositories.notify import HELLO, HELLOS_LOST_AT_MOST, MOST_IDS, MOST_WAITING, Company, Notices
from repositories.pool import parted

SOON = 5.0
OF_OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"


@dataclass
class Node:
    notices: Notices
    heard: list[UUID] = field(default_factory=list)
    payloads: list[int] = field(default_factory=list)

    def hear(self, ids: Iterable[UUID]) -> None:
        found = list(ids)
        self.heard += found
        self.payloads.append(len(found))


async def test_what_one_tells_others_hear_and_not_itself(database_url: str) -> None:
    async with nodes(database_url, 3) as (teller, *others):
        changed = [uuid4(), uuid4()]
        teller.notices.tell(changed)
        await until(lambda: [other.heard for other in others] == [changed] * 2)
        others[0].notices.tell([changed[0]])
        await until(lambda: teller.heard == [changed[0]])


async def test_more_than_a_payload_takes_are_split(database_url: str) -> None:
    async with nodes(database_url, 2) as (teller, other):
        changed = [uuid4() for _ in range(2 * MOST_IDS + 50)]
        teller.notices.tell(changed)
        await until(lambda: len(other.heard) == len(changed))
    assert other.heard == changed
    assert other.payloads == [MOST_IDS, MOST_IDS, 50]


async def test_what_is_told_twice_before_it_is_sent_is_sent_once(database_url: str) -> None:
    async with nodes(database_url, 2) as (teller, other):
        changed = uuid4()
        for _ in range(100):
            teller.notices.tell([changed])
        last = uuid4()
        teller.notices.tell([last])
        await until(lambda: last in other.heard)
    assert other.heard == [changed, last]


async def test_it_hears_again_when_its_connections_were_cut(database_url: str) -> None:
    async with nodes(database_url, 2) as (teller, other):
        assert await fetched(database_url, f"SELECT pg_terminate_backend(pid) {OF_OTHERS}") == 4
        async with asyncio.timeout(2):
            await until(partial(asked, database_url, 0, "true"))
            await connected(database_url, 2)
            changed = [uuid4()]
            teller.notices.tell(changed)
            await until(lambda: other.heard == changed)


async def test_a_server_that_is_not_there_neither_fails_nor_fills_the_memory() -> None:
    notices = Notices("postgresql://nobody@localhost:1/nothing")
    running = asyncio.create_task(notices.run(lambda _: None))
    for _ in range(3):
        notices.tell(uuid4() for _ in range(MOST_WAITING))
    await asyncio.sleep(0.05)
    assert len(notices._waiting) == MOST_WAITING
    assert not running.done()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def test_only_who_hears_nothing_but_its_own_hellos_is_alone() -> None:
    silence = HELLO.total_seconds() * HELLOS_LOST_AT_MOST + 1
    deaf, alone, accompanied = Company(), Company(), Company()
    for each in (deaf, alone, accompanied):
        each.listening(0)
    for each in (alone, accompanied):
        each.heard(silence, myself=True)
    accompanied.heard(1.5, myself=False)
    assert [each.is_there(silence) for each in (deaf, alone, accompanied)] == [True, False, True]


def test_company_is_expected_at_first_and_after_each_new_connection() -> None:
    company, silence = Company(), HELLO.total_seconds() * HELLOS_LOST_AT_MOST + 1
    assert company.is_there(0)
    company.listening(0)
    company.heard(1, myself=True)
    assert company.is_there(1)
    company.heard(silence, myself=True)
    assert not company.is_there(silence)
    company.listening(silence)
    assert company.is_there(silence)


async def test_who_begins_to_listen_is_known_to_those_who_were_there(database_url: str) -> None:
    async with nodes(database_url, 1) as (first,):
        long_ago = Company()
        long_ago.heard(time.monotonic(), myself=True)
        first.notices._company = long_ago
        assert not long_ago.is_there(time.monotonic())
        newcomer = Notices(database_url)
        listening = asyncio.create_task(newcomer.run(lambda _: None))
        await until(lambda: long_ago.is_there(time.monotonic()))
        listening.cancel()
        await asyncio.wait([listening])
    assert first.payloads == []


async def test_it_leaves_no_connection_behind(database_url: str) -> None:
    async with nodes(database_url, 2):
        pass
    await until(partial(asked, database_url, 0, "true"))


async def test_the_url_of_a_pooler_will_do(database_url: str) -> None:
    """In front of a session pooler, that is: in front of a transaction pooler nothing is heard, and followers poll."""
    url = f"{database_url}{'&' if '?' in database_url else '?'}statement_cache_size=0"
    async with nodes(url, 2) as (teller, other):
        changed = [uuid4()]
        teller.notices.tell(changed)
        await until(lambda: other.heard == changed)


@asynccontextmanager
async def nodes(url: str, number: int) -> AsyncIterator[list[Node]]:
    """Each is connected, and listens."""
    made = [Node(Notices(url)) for _ in range(number)]
    async with asyncio.TaskGroup() as tasks:
        work = [tasks.create_task(node.notices.run(node.hear)) for node in made]
        await connected(url, number)
        yield made
        for each in work:
            each.cancel()


async def connected(url: str, number: int) -> None:
    """All senders and as many listeners; no other connection is open but the one that asks."""
    await until(partial(asked, url, 2 * number, "true"))
    await until(partial(asked, url, number, "query LIKE '%pg_notify%'"))


async def asked(url: str, expected: int, condition: str) -> bool:
    return await fetched(url, f"SELECT 1 {OF_OTHERS} AND {condition}") == expected


async def fetched(url: str, query: str) -> int:
    """How many rows."""
    connection = await asyncpg.connect(parted(url)[0])
    try:
        return len(await connection.fetch(query))
    finally:
        await connection.close()


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(SOON):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.01)
