"""Who was asking a moment ago, by a clock that is moved."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from domain.credentials import FRESH, RecentCredentials
from domain.user import ApiKey, Role, User
from tests.domain.fakes import FakeWorld, a_viewer

INSTANT = timedelta(microseconds=1)


class Stored:
    """`asked` counts; an event in `gate` is waited for after the row was read."""

    def __init__(self) -> None:
        viewer = a_viewer()
        assert viewer.key is not None
        self.user, self.key, self.asked = viewer.user, viewer.key, list[bytes]()
        self.gate: asyncio.Event | None = None

    async def look(self, digest: bytes) -> tuple[User, ApiKey] | None:
        self.asked.append(digest)
        found = self.user, self.key
        if self.gate is not None:
            await self.gate.wait()
        return None if digest == b"nobody" else found


async def test_storage_is_asked_again_when_an_answer_is_no_longer_fresh() -> None:
    world, stored = FakeWorld(), Stored()
    recent = RecentCredentials(stored.look, world)
    assert await recent.find(b"a") == (stored.user, stored.key)
    demoted = stored.user = replace(stored.user, role=Role.GUEST)
    world.time += FRESH - INSTANT
    assert await recent.find(b"a") != (demoted, stored.key)
    world.time += INSTANT
    assert await recent.find(b"a") == (demoted, stored.key)
    assert stored.asked == [b"a"] * 2


async def test_a_clock_that_was_put_back_keeps_nothing_fresh() -> None:
    world, stored = FakeWorld(), Stored()
    recent = RecentCredentials(stored.look, world)
    await recent.find(b"a")
    world.time -= INSTANT
    await recent.find(b"a")
    assert stored.asked == [b"a"] * 2


async def test_what_is_not_there_is_not_remembered() -> None:
    stored = Stored()
    recent = RecentCredentials(stored.look, FakeWorld())
    assert [await recent.find(b"nobody") for _ in range(2)] == [None, None]
    assert stored.asked == [b"nobody"] * 2


async def test_the_one_not_asked_for_the_longest_makes_room() -> None:
    stored = Stored()
    recent = RecentCredentials(stored.look, FakeWorld(), most=2)
    for digest in (b"a", b"b", b"a", b"c", b"a", b"b"):
        await recent.find(digest)
    assert stored.asked == [b"a", b"b", b"c", b"b"]


async def test_a_change_made_here_is_seen_at_once_also_by_who_was_reading_then() -> None:
    stored = Stored()
    recent = RecentCredentials(stored.look, FakeWorld())
    await recent.find(b"a")
    stored.gate = asyncio.Event()
    reading = asyncio.create_task(recent.find(b"b"))
    await asyncio.sleep(0)
    recent.forget(stored.user.id)
    stored.gate.set()
    await reading
    await recent.find(b"a")
    await recent.find(b"b")
    assert stored.asked == [b"a", b"b", b"a", b"b"]
