"""Clients that leave at any moment, without a word, and come back anywhere, at what they saw last or before that."""

import asyncio
import random

from tests.chaos.trial import Trial, any_of, any_transport
from tests.chaos.watching import Habits

AT_ONCE = 15


async def disconnected(trial: Trial) -> None:
    """A round is one run with one to four disconnects of each of its two clients."""
    rounds, trial.rounds = trial.rounds, -(-trial.rounds // AT_ONCE)
    for turn in trial.turns():
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(AT_ONCE, rounds - turn * AT_ONCE)):
                tasks.create_task(_one(trial, tasks))
        trial.counted["disconnects"] += sum(watcher.left for watcher in trial.watchers)
        await trial.audit(random.choice(trial.stage.processes))
        trial.close_round()
    trial.rounds = rounds


async def _one(trial: Trial, tasks: asyncio.TaskGroup) -> None:
    processes = trial.stage.processes
    promise = await trial.send(random.choice(processes), words=random.randint(10, 40), delay_ms=random.choice([0, 10]))
    for _ in range(2):
        habits = Habits(
            choose=any_of(processes), transport=any_transport, cuts=random.randint(1, 4), older=0.5, pause=0.1
        )
        trial.watch(tasks, promise, habits)
