"""Every NOTIFY lost, both ways: a process that listens, and tells, where nobody else does."""

import asyncio
import time
from statistics import median
from uuid import uuid4

from tests.chaos.ledger import SLOW
from tests.chaos.stage import Process
from tests.chaos.trial import Trial, always
from tests.chaos.watching import Habits, Watcher

STREAMS = 5
LATE_SECONDS = 1.0
# What a wake-up itself, the read after it, and two busy cores may take.
OVERHEAD_SECONDS = 0.25
STOP_SECONDS = 1.5


async def dropped(trial: Trial) -> None:
    hearing, deaf = trial.stage.pair[0], trial.stage.deaf
    for _ in trial.turns():
        await trial.stage.forget_requests()
        async with asyncio.TaskGroup() as tasks:
            for writer, reader in ((hearing, deaf), (deaf, hearing)):
                tasks.create_task(_followed_across(trial, writer, reader))
                tasks.create_task(_stopped_across(trial, writer, reader))
        await trial.audit(hearing)
        trial.close_round()


async def _followed_across(trial: Trial, writer: Process, reader: Process) -> None:
    """How late each event is at the other process, against the writer's own followers."""
    pairs = list[tuple[Watcher, Watcher]]()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(STREAMS):
            promise = await trial.send(writer, words=60, delay_ms=50)
            here, there = (trial.watch(tasks, promise, Habits(choose=always(process))) for process in (writer, reader))
            pairs.append((here, there))
    late = [b - a for here, there in pairs for a, b in zip(here.arrived, there.arrived, strict=False)]
    trial.measure("latest ms", 1000 * max(late))
    trial.measure("median ms", 1000 * median(late))
    limit = LATE_SECONDS + OVERHEAD_SECONDS
    trial.expect(max(late) <= limit, SLOW, f"events at most {limit} s late", f"{max(late):.2f} s")


async def _stopped_across(trial: Trial, writer: Process, asked: Process) -> None:
    """A model that says nothing is left within a second and a half."""
    name = uuid4().hex
    promise = await trial.send(writer, words=2, first_delay_ms=30_000, id=name)
    await trial.stage.scripted.wait_for(name, lambda request: True)
    began = time.monotonic()
    await trial.front_end.stop(asked.origin, promise.key, promise.generation)
    left = await trial.stage.scripted.wait_for(name, lambda request: request["disconnected_at"] is not None)
    # By the model server's own look at the clock of both: to ask it takes time, too.
    took = left["disconnected_at"] - began
    trial.measure("model left after ms", 1000 * took)
    trial.expect(took <= STOP_SECONDS, SLOW, f"a model left within {STOP_SECONDS} s", f"{took:.2f} s")
