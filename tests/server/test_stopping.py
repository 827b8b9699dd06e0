import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta

import pytest

from server.stopping import Stopping, until_signalled

LONG = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    logging.disable(logging.NOTSET)


async def ended(serve: Callable[[Stopping], Awaitable[None]]) -> list[str]:
    """What is said until it ends."""
    said = list[str]()
    async with asyncio.timeout(5):
        await asyncio.create_task(until_signalled(serve, said.append))
    return said


def signal_us() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


async def test_the_first_signal_asks_and_cuts_nothing_off() -> None:
    async def serve(stopping: Stopping) -> None:
        with stopping.cleanly(LONG):
            signal_us()
            await stopping.asked.wait()
            await asyncio.sleep(0)
            steps.append("closed")

    steps = list[str]()
    assert (await ended(serve), steps) == (["Stopping"], ["closed"])


async def test_a_second_signal_cuts_off_what_still_goes_on() -> None:
    async def serve(stopping: Stopping) -> None:
        with stopping.cleanly(LONG):
            signal_us()
            await stopping.asked.wait()
            signal_us()
            await asyncio.Event().wait()

    assert await ended(serve) == ["Stopping"]


async def test_a_clean_end_has_its_time() -> None:
    async def serve(stopping: Stopping) -> None:
        with stopping.cleanly(timedelta(milliseconds=10)):
            signal_us()
            await asyncio.Event().wait()

    assert await ended(serve) == ["Stopping"]


async def test_while_nothing_is_served_yet_one_signal_is_enough() -> None:
    async def serve(_: Stopping) -> None:
        signal_us()
        await asyncio.Event().wait()

    assert await ended(serve) == ["Stopping"]


async def test_what_is_closed_on_the_way_out_is_not_cut_off_again() -> None:
    async def serve(stopping: Stopping) -> None:
        try:
            signal_us()
            await asyncio.Event().wait()
        finally:
            signal_us()
            await asyncio.sleep(0.02)
            closed.append(stopping.asked.is_set())

    closed = list[bool]()
    assert (await ended(serve), closed) == (["Stopping"], [True])


async def test_a_cancellation_that_is_no_signals_is_passed_on() -> None:
    async def serve(_: Stopping) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await ended(serve)
