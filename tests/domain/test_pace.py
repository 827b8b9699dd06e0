import asyncio

import pytest

from domain.generation.pace import (
    FULL_SPACING_SECONDS,
    RUNS_WITH_FULL_SPACING,
    RUNS_WITHOUT_SPACING,
    Pace,
    goes_on_at,
)


@pytest.mark.parametrize(
    ("live_runs", "steps"),
    [(0, [0.0]), (RUNS_WITHOUT_SPACING, [0.0]), (29, [0.0125, 0.025]), (RUNS_WITH_FULL_SPACING, [0.025, 0.05])],
)
@pytest.mark.parametrize("late", [0.0004, 0.012, 0.0249])
def test_the_pause_grows_with_the_crowd_and_ends_at_a_step_within_the_spacing(
    live_runs: int, steps: list[float], late: float
) -> None:
    began = 12345 + late
    at = goes_on_at(began, live_runs)
    assert at - began <= FULL_SPACING_SECONDS
    assert any(at == pytest.approx(began if step == 0 else 12345 + n * step) for step in steps for n in range(4))


def test_runs_that_go_on_together_go_on_together_again() -> None:
    step = goes_on_at(12345.0, 500)
    assert {goes_on_at(step + late, 500) for late in (0.0001, 0.003, 0.02)} == {step + FULL_SPACING_SECONDS}


async def test_one_that_is_cancelled_in_its_pause_leaves_the_others_to_theirs() -> None:
    pace = Pace()
    waiting = [asyncio.create_task(pace.pause(RUNS_WITH_FULL_SPACING)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    done = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in done] == [asyncio.CancelledError, type(None), type(None)]
