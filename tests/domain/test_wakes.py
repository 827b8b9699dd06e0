import asyncio
from datetime import timedelta
from uuid import uuid4

from domain.generation.wakes import Wakes, wait_at_most

FOR_EVER = timedelta(days=1)


async def test_a_wake_up_before_the_wait_is_not_lost_and_one_is_enough_for_all_who_watch() -> None:
    wakes, watched = Wakes(), uuid4()
    with wakes.watching(watched) as one, wakes.watching(watched) as two, wakes.watching(uuid4()) as other:
        wakes.wake([watched])
        await asyncio.gather(wait_at_most(one, FOR_EVER), wait_at_most(two, FOR_EVER))
        waiting = asyncio.create_task(wait_at_most(other, FOR_EVER))
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
    assert wakes.watched() == 0


async def test_one_who_waits_is_woken_and_can_wait_again() -> None:
    wakes, watched = Wakes(), uuid4()
    with wakes.watching(watched) as woken:
        for _ in range(2):
            woken.clear()
            waiting = asyncio.create_task(wait_at_most(woken, FOR_EVER))
            await asyncio.sleep(0)
            wakes.wake([watched, watched])
            await waiting


async def test_the_end_of_the_period_wakes_too() -> None:
    with Wakes().watching(uuid4()) as woken:
        await wait_at_most(woken, timedelta(milliseconds=1))
