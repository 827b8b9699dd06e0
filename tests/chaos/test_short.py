"""Of every family of faults a little, on the way of `make test`; `make chaos` is the proof."""

from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.chaos import database, disconnects, fallbacks, line, processes, racing
from tests.chaos.stage import NAMES, Stage, staged
from tests.chaos.trial import Trial, opened_front_end


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged(NAMES[:2]) as stage:
        yield stage


@pytest.mark.parametrize(
    ("fault", "rounds"),
    [
        (disconnects.disconnected, 20),
        (racing.stopped, 20),
        (database.terminated, 1),
        (processes.killed, 1),
        (line.holder_killed, 1),
        (fallbacks.died, 1),
    ],
)
async def test_nothing_is_lost_by(stage: Stage, fault: Callable[[Trial], Awaitable[None]], rounds: int) -> None:
    async with opened_front_end() as front_end:
        trial = Trial("short", rounds, stage, front_end, say=print)
        await fault(trial)
    assert trial.violations == []
    assert trial.counted["sends"] > 0
