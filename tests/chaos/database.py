"""What happens to PostgreSQL, and what clients are told meanwhile."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from tests.chaos.front_end import WHO, NoAnswer
from tests.chaos.ledger import OTHER, SLOW, UNTYPED, Violation
from tests.chaos.stage import Process
from tests.chaos.trial import Trial, any_of, any_transport
from tests.chaos.watching import Habits

STREAMS = 10
OUTAGE_SECONDS = 3.0
ANSWER_SECONDS = 5.0
TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


async def restarted(trial: Trial) -> None:
    """Away for 3 s; in every other round it crashes, and only what was synced to disk is there again."""
    for turn in trial.turns():
        async with _ten_streams(trial), _probed(trial):
            await asyncio.sleep(random.uniform(0, 1))
            await trial.stage.break_postgres(crash=turn % 2 == 0)
            await asyncio.sleep(OUTAGE_SECONDS)
            await trial.stage.mend_postgres()
            await asyncio.sleep(1)
        await _close(trial)


async def terminated(trial: Trial) -> None:
    """Every backend, three times in a second."""
    for _ in trial.turns():
        async with _ten_streams(trial), _probed(trial):
            for _ in range(3):
                trial.counted["backends"] += len(await trial.stage.sql(TERMINATE))
                await asyncio.sleep(random.uniform(0.1, 0.5))
        await _close(trial)


@asynccontextmanager
async def _ten_streams(trial: Trial) -> AsyncIterator[None]:
    """Half of them at each process, followed at either."""
    pair = trial.stage.pair
    async with asyncio.TaskGroup() as tasks:
        watchers = []
        for number in range(STREAMS):
            promise = await trial.send(pair[number % 2], words=300, delay_ms=20)
            habits = Habits(choose=any_of(pair), transport=any_transport)
            watchers.append(trial.watch(tasks, promise, habits))
        await asyncio.gather(*(watcher.spoken.wait() for watcher in watchers))
        yield
        sends = [tasks.create_task(trial.send(*pair, words=5)) for _ in range(4)]
        await asyncio.gather(*sends)


async def _close(trial: Trial) -> None:
    interrupted = trial.counted["INTERRUPTED"]
    await trial.audit(trial.stage.pair[1], since=time.monotonic())
    taken = trial.counted["INTERRUPTED"] - interrupted
    trial.expect(taken == 0, OTHER, "live runs to survive the outage", f"{taken} of them INTERRUPTED")
    trial.close_round()


@asynccontextmanager
async def _probed(trial: Trial) -> AsyncIterator[None]:
    """Questions and sends, at both processes all the time."""
    async with asyncio.TaskGroup() as tasks:
        over = asyncio.Event()
        for process in trial.stage.pair:
            tasks.create_task(_probe(trial, tasks, process, over))
        try:
            yield
        finally:
            over.set()


async def _probe(trial: Trial, tasks: asyncio.TaskGroup, process: Process, over: asyncio.Event) -> None:
    while not over.is_set():
        tasks.create_task(_asked(trial, process))
        tasks.create_task(_sent_once(trial, process))
        await asyncio.sleep(0.3)


async def _asked(trial: Trial, process: Process) -> None:
    began = time.monotonic()
    try:
        await trial.front_end.ask(process.origin, trial.key(), WHO)
        trial.counted["answered"] += 1
    except NoAnswer as failure:
        _judge(trial, failure)
    _judge_time(trial, began)


async def _sent_once(trial: Trial, process: Process) -> None:
    """Its outcome may stay unknown: then the run that it may have started must end nevertheless, which the audit sees."""
    began = time.monotonic()
    try:
        await trial.front_end.send(process.origin, trial.key(), 'script: {"words": 2}', str(uuid4()))
        trial.counted["answered"] += 1
    except NoAnswer as failure:
        _judge(trial, failure)
    _judge_time(trial, began)


def _judge(trial: Trial, failure: NoAnswer) -> None:
    trial.counted["refused"] += 1
    if failure.code != "UNAVAILABLE" or failure.untyped is not None:
        found = f"{failure.code} {failure.untyped} {failure.__cause__!r}"
        trial.violate(Violation(UNTYPED, "UNAVAILABLE without a driver's words", found))


def _judge_time(trial: Trial, began: float) -> None:
    took = time.monotonic() - began
    trial.measure("slowest answer s", took)
    trial.expect(took <= ANSWER_SECONDS, SLOW, f"an answer within {ANSWER_SECONDS} s", f"{took:.1f} s")
