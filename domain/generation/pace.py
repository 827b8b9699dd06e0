"""How often a run commits: at once while there are few, else after a pause in which its words gather at the model's end."""

import asyncio
from math import floor

# Up to so many live runs every token is committed at once; from there the spacing grows, and more of them share a frame.
RUNS_WITHOUT_SPACING = 8
RUNS_WITH_FULL_SPACING = 50
FULL_SPACING_SECONDS = 0.05
# Runs go on in step, so that those that go on together share a commit: so many steps to a spacing.
STEPS = 2


def spacing_seconds(live_runs: int) -> float:
    """The least time between two commits of one run; its first token never waits."""
    crowd = (live_runs - RUNS_WITHOUT_SPACING) / (RUNS_WITH_FULL_SPACING - RUNS_WITHOUT_SPACING)
    return FULL_SPACING_SECONDS * min(max(crowd, 0.0), 1.0)


def goes_on_at(now: float, live_runs: int) -> float:
    """When a run that has written something at `now` takes more: at the last step within the spacing."""
    spacing = spacing_seconds(live_runs)
    step = spacing / STEPS
    return floor((now + spacing) / step) * step if step else now


class Pace:
    """Of all runs of a process. One timer serves all that go on at the same step: a timer for each would cost more than
    what it paces."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[float, list[asyncio.Future[None]]] = {}

    async def pause(self, live_runs: int) -> None:
        if live_runs <= RUNS_WITHOUT_SPACING:
            return
        now = self._loop.time()
        at = goes_on_at(now, live_runs)
        if at > now:
            await self._step(at)

    def _step(self, at: float) -> asyncio.Future[None]:
        waiting = self._waiting.get(at)
        if waiting is None:
            waiting = self._waiting[at] = []
            self._loop.call_at(at, self._go_on, at)
        # Each has a future of its own: to cancel one must not cancel all.
        future = self._loop.create_future()
        waiting.append(future)
        return future

    def _go_on(self, at: float) -> None:
        for future in self._waiting.pop(at):
            if not future.done():
                future.set_result(None)
