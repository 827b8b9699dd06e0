"""A model server dies while answers are asked of it as a fallback, and while others have begun."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

from asyncpg import Record

from resolvers.node import uuid_of
from tests.chaos.ledger import OTHER, Promise
from tests.chaos.models import MORTALS
from tests.chaos.trial import Trial, any_of, any_transport, until
from tests.chaos.watching import Habits, Watcher

# Of each kind.
RUNS = 3
STORED = "SELECT id, status, model_key, attempts, notices FROM generations WHERE id = ANY($1)"
# A breaker may have opened meanwhile, in either process.
NOT_THERE = frozenset({"REFUSED_CONNECTION", "CIRCUIT_OPEN"})
DIED = frozenset({"REFUSED_CONNECTION", "CUT_OFF"})
ANSWERED = frozenset({"ANSWERED"})


@dataclass(frozen=True, slots=True)
class Fate:
    """`tried`: how each try may have come out, of the model, then of its fallbacks."""

    promise: Promise
    status: str
    model: str
    tried: tuple[frozenset[str], ...]


async def died(trial: Trial) -> None:
    mortal = trial.stage.mortal
    for turn in trial.turns():
        number = str(turn % MORTALS)
        mortal.begin()
        async with asyncio.TaskGroup() as tasks:
            fates = await _begun(trial, tasks, number)
            # It takes connections and questions, and says nothing.
            mortal.freeze()
            fates += await _asked(trial, tasks, number, DIED)
            await _all_connected(trial)
            await asyncio.sleep(random.uniform(0, 0.3))
            mortal.kill()
            fates += await _asked(trial, tasks, number, NOT_THERE)
            await trial.audit(random.choice(trial.stage.pair))
        await _judge(trial, fates)
        trial.close_round()


async def _all_connected(trial: Trial) -> None:
    """Those that have begun, and those that ask."""
    await until(lambda: _connections(trial) >= 3 * RUNS, 20)
    found = _connections(trial)
    trial.expect(found >= 3 * RUNS, OTHER, f"{3 * RUNS} connections", f"{found}")


def _connections(trial: Trial) -> int:
    return sum(process.connections_to(trial.stage.mortal.port) for process in trial.stage.pair)


async def _begun(trial: Trial, tasks: asyncio.TaskGroup, number: str) -> list[Fate]:
    """Their first words have been seen: nobody else may go on with them."""
    told = [await _watched(trial, tasks, f"falling-{number}", words=2000) for _ in range(RUNS)]
    async with asyncio.timeout(20):
        await asyncio.gather(*(watcher.spoken.wait() for watcher in told))
    tried = NOT_THERE, frozenset({"CUT_OFF"})
    return [Fate(watcher.promise, "FAILED", f"mortal-{number}", tried) for watcher in told]


async def _asked(trial: Trial, tasks: asyncio.TaskGroup, number: str, mortal: frozenset[str]) -> list[Fate]:
    """Half of them have one more to ask."""
    fates = list[Fate]()
    for _ in range(RUNS):
        falling = await _watched(trial, tasks, f"falling-{number}", words=10)
        fates.append(Fate(falling.promise, "COMPLETED", "scripted", (NOT_THERE, mortal, ANSWERED)))
        short = await _watched(trial, tasks, f"short-{number}", words=10)
        fates.append(Fate(short.promise, "FAILED", f"mortal-{number}", (NOT_THERE, mortal)))
    return fates


async def _watched(trial: Trial, tasks: asyncio.TaskGroup, model: str, *, words: int) -> Watcher:
    promise = await trial.send(random.choice(trial.stage.pair), model=model, words=words, delay_ms=20)
    habits = Habits(choose=any_of(trial.stage.processes), transport=any_transport)
    return trial.watch(tasks, promise, habits)


async def _judge(trial: Trial, fates: Sequence[Fate]) -> None:
    by_id = {uuid_of("Generation", fate.promise.generation): fate for fate in fates}
    for row in await trial.stage.sql(STORED, list(by_id)):
        fate = by_id[row["id"]]
        expected = f"{fate.status} by {fate.model} after {[sorted(outcomes) for outcomes in fate.tried]}"
        trial.expect(_is_so(fate, row), OTHER, expected, f"{dict(row)}")


def _is_so(fate: Fate, row: Record) -> bool:
    outcomes = [attempt["outcome"] for attempt in json.loads(row["attempts"])]
    told = [notice["code"] for notice in json.loads(row["notices"] or "[]")].count("MODEL_FALLBACK")
    tried = len(fate.tried) == len(outcomes) and all(map(frozenset.__contains__, fate.tried, outcomes))
    return tried and (row["status"], row["model_key"], told) == (fate.status, fate.model, len(fate.tried) - 1)
