"""How soon another process knows: by NOTIFY, and with every NOTIFY lost, both ways."""

import asyncio
import time
from collections.abc import Mapping
from statistics import median
from typing import Any
from uuid import uuid4

from tests.chaos.ledger import SLOW
from tests.chaos.stage import Process
from tests.chaos.trial import Trial, always
from tests.chaos.watching import Habits, Watcher

STREAMS = 5
LATE_SECONDS = 1.0
# What a wake-up itself, the read after it, and two busy cores may take.
OVERHEAD_SECONDS = 0.25
STOP_SECONDS = 0.5
DEAF_STOP_SECONDS = 1.5
SILENT = {"words": 2, "first_delay_ms": 30_000}
TALKING = {"words": 1000, "delay_ms": 20}


async def stopped(trial: Trial) -> None:
    """At either process, of a run of the other: one whose model says nothing yet, and one whose model talks."""
    for turn in trial.turns():
        await trial.stage.forget_requests()
        asked, writer = (trial.stage.pair[(turn + n) % 2] for n in range(2))
        for script in (SILENT, TALKING):
            await _stopped_across(trial, writer, asked, script, STOP_SECONDS)
        await trial.audit(asked)
        trial.close_round()


async def dropped(trial: Trial) -> None:
    hearing, deaf = trial.stage.pair[0], trial.stage.deaf
    for _ in trial.turns():
        await trial.stage.forget_requests()
        async with asyncio.TaskGroup() as tasks:
            for writer, reader in ((hearing, deaf), (deaf, hearing)):
                tasks.create_task(_followed_across(trial, writer, reader))
                tasks.create_task(_stopped_across(trial, writer, reader, SILENT, DEAF_STOP_SECONDS))
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


async def _stopped_across(
    trial: Trial, writer: Process, asked: Process, script: Mapping[str, Any], seconds: float
) -> None:
    name = uuid4().hex
    promise = await trial.send(writer, id=name, **script)
    await trial.stage.scripted.wait_for(name, lambda request: True)
    began = time.monotonic()
    await trial.front_end.stop(asked.origin, promise.key, promise.generation)
    left = await trial.stage.scripted.wait_for(name, lambda request: request["disconnected_at"] is not None)
    # By the model server's own look at the clock of both: to ask it takes time, too.
    took = left["disconnected_at"] - began
    trial.measure("model left after ms", 1000 * took)
    trial.expect(took <= seconds, SLOW, f"a model left within {seconds} s", f"{took:.2f} s")
