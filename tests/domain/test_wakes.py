import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.generation.wakes import Wakes
from tests.timers import counted_timers

FOR_EVER = timedelta(days=1)


async def test_a_wake_up_before_the_wait_is_not_lost_and_one_is_enough_for_all_who_watch() -> None:
    wakes, watched = Wakes(), uuid4()
    with wakes.watching(watched) as one, wakes.watching(watched) as two, wakes.watching(uuid4()) as other:
        wakes.wake([watched])
        await asyncio.gather(one.wait_at_most(FOR_EVER), two.wait_at_most(FOR_EVER))
        waiting = asyncio.create_task(other.wait_at_most(FOR_EVER))
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
    assert wakes.watched() == 0


async def test_one_who_waits_is_woken_and_can_wait_again() -> None:
    wakes, watched = Wakes(), uuid4()
    with wakes.watching(watched) as woken:
        for _ in range(2):
            woken.clear()
            waiting = asyncio.create_task(woken.wait_at_most(FOR_EVER))
            await asyncio.sleep(0)
            wakes.wake([watched, watched])
            await waiting


async def test_the_end_of_the_period_wakes_too() -> None:
    with Wakes().watching(uuid4()) as woken:
        await woken.wait_at_most(timedelta(milliseconds=1))


async def test_one_alarm_serves_all_waits_and_rings_only_at_the_end_of_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alarms = counted_timers(monkeypatch)
    with Wakes().watching(uuid4()) as woken:
        for _ in range(100):
            woken.clear()
            asyncio.get_running_loop().call_soon(woken.set)
            await woken.wait_at_most(FOR_EVER)
        assert len(alarms) == 1
        woken.clear()
        await woken.wait_at_most(timedelta(milliseconds=1))
        assert len(alarms) == 2
