import asyncio
from contextlib import closing
from datetime import timedelta

import pytest

from providers.patience import Patience
from tests.timers import counted_timers

LONG, SHORT = timedelta(hours=1), timedelta(milliseconds=20)


async def test_a_wait_that_takes_too_long_times_out_and_the_next_has_its_own_time() -> None:
    with closing(Patience(SHORT, LONG)) as patience:
        with pytest.raises(TimeoutError), patience:
            await asyncio.Event().wait()
        patience.begin_again()
        with patience:
            await asyncio.sleep(2 * SHORT.total_seconds())
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]


async def test_one_timer_serves_all_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    timers = counted_timers(monkeypatch)
    with closing(Patience(LONG, LONG)) as patience:
        for _ in range(100):
            with patience:
                pass
            patience.begin_again()
    assert len(timers) == 1


async def test_a_token_in_time_buys_time_after_the_timer_was_set() -> None:
    with closing(Patience(SHORT, LONG)) as patience:
        with patience:
            pass
        patience.begin_again()
        with patience:
            await asyncio.sleep(3 * SHORT.total_seconds())


async def test_less_time_counts_at_once() -> None:
    with closing(Patience(LONG, LONG)) as patience:
        with patience:
            pass
        patience.shorten(SHORT)
        with pytest.raises(TimeoutError), patience:
            await asyncio.Event().wait()


async def test_nobody_is_cancelled_between_two_waits() -> None:
    with closing(Patience(SHORT, SHORT)) as patience:
        with patience:
            pass
        await asyncio.sleep(3 * SHORT.total_seconds())
        patience.begin_again()
        with patience:
            await asyncio.sleep(0)


async def test_who_is_cancelled_by_another_is_cancelled() -> None:
    async def wait() -> None:
        with closing(Patience(LONG, LONG)) as patience, patience:
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
