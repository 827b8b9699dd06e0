"""The background work of a process: it runs, or the process ends."""

import asyncio

import pytest
from structlog.testing import capture_logs

from server.compose import BROKEN, vital


async def failing() -> None:
    raise RuntimeError("bug")


async def test_a_vital_task_that_fails_ends_the_process_and_says_so() -> None:
    ended = list[int]()
    with capture_logs() as logged:
        await vital(failing(), die=ended.append)
    assert ended == [BROKEN]
    assert [entry["log_level"] for entry in logged] == ["critical"]


async def test_a_vital_task_that_is_cancelled_ends_nothing() -> None:
    ended = list[int]()
    task = asyncio.create_task(vital(asyncio.sleep(60), die=ended.append))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == []
