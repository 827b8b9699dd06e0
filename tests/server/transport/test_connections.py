import asyncio
import time
from collections.abc import Awaitable

from server.graphql.connections import LAST_WORDS, QUIET, Connections


async def seconds_of(work: Awaitable[None]) -> float:
    began = time.monotonic()
    async with asyncio.timeout(10):
        await work
    return time.monotonic() - began


async def test_without_connections_it_is_quiet() -> None:
    assert await seconds_of(Connections(1, 1).quiet()) < 0.05


async def test_it_is_quiet_when_there_have_been_no_events_for_a_moment() -> None:
    async def talk() -> None:
        for _ in range(5):
            connections.notice()
            await asyncio.sleep(QUIET.total_seconds() / 2)

    connections = Connections(1, 1)
    with connections.opened():
        took, _ = await asyncio.gather(seconds_of(connections.quiet()), talk())
    assert 2.9 * QUIET.total_seconds() < took < 5 * QUIET.total_seconds()


async def test_who_stays_does_not_hold_up_the_end() -> None:
    connections = Connections(1, 1)
    with connections.opened():
        took = await seconds_of(connections.drain())
    assert LAST_WORDS.total_seconds() <= took < LAST_WORDS.total_seconds() + 1
    assert connections.draining.is_set()
