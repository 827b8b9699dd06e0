"""kill -9 of one of the two workers of one `gus serve --workers 2`, its clients coming back to the same port."""

import asyncio
import random
import time
from uuid import UUID

from resolvers.node import uuid_of
from tests.chaos.ledger import ENDS, OTHER, Promise
from tests.chaos.stage import Process
from tests.chaos.trial import Trial, always, any_transport, until
from tests.chaos.watching import Habits

WORKERS = 2
STREAMS = 12
LENGTHS = (100, 200, 400)
REPLACED_SECONDS = 30
OWNERS = "SELECT id, node FROM generations WHERE ended_at IS NULL"
SUFFERED = "SELECT id FROM generations WHERE id = ANY($1) AND (status <> 'COMPLETED' OR attempt > 1)"


async def killed(trial: Trial) -> None:
    async with trial.stage.also("W", workers=str(WORKERS)) as process:
        for _ in trial.turns():
            await _killed_once(trial, process)
            for complaint in process.complaints():
                trial.expect(False, OTHER, "no error", complaint)
            trial.close_round()


async def _killed_once(trial: Trial, process: Process) -> None:
    habits = Habits(choose=always(process), transport=any_transport)
    async with asyncio.TaskGroup() as tasks:
        # All at once: each on a connection of its own, which the kernel gives to either worker.
        sending = [_sent(trial, process, random.choice(LENGTHS)) for _ in range(STREAMS)]
        promises = await asyncio.gather(*sending)
        watchers = [trial.watch(tasks, promise, habits) for promise in promises]
        async with asyncio.timeout(20):
            await asyncio.gather(*(watcher.spoken.wait() for watcher in watchers))
        await asyncio.sleep(random.uniform(0, 1))
        late = [tasks.create_task(_sent(trial, process, 30)) for _ in range(3)]
        owners = {row["id"]: row["node"] for row in await trial.stage.sql(OWNERS)}
        random.choice(process.workers()).kill()
        at = time.monotonic()
        for promise in await asyncio.gather(*late):
            trial.watch(tasks, promise, habits)
        await until(lambda: len(process.workers()) == WORKERS, REPLACED_SECONDS)
        trial.measure("replaced after s", time.monotonic() - at)
        await trial.audit(process, since=at)
    await _only_one_suffered(trial, promises, owners)


async def _sent(trial: Trial, process: Process, words: int) -> Promise:
    return await trial.send(process, words=words, delay_ms=20)


async def _only_one_suffered(trial: Trial, promises: list[Promise], owners: dict[UUID, UUID]) -> None:
    """The other worker's runs go on as if nothing had happened."""
    ids = [uuid_of("Generation", promise.generation) for promise in promises]
    suffered = {row["id"] for row in await trial.stage.sql(SUFFERED, ids)}
    dead = {owners[each] for each in suffered if each in owners}
    trial.expect(len(dead) <= 1, ENDS, "runs of one worker to suffer", f"those of {len(dead)}")
    trial.counted["of the other worker"] += sum(owner not in dead for owner in owners.values())
