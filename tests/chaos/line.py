"""A model that gives one answer at a time: whoever holds its slot is killed while others wait in its line."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import uuid4

from resolvers.node import uuid_of
from tests.chaos.ledger import OTHER, Promise
from tests.chaos.trial import STUCK_AFTER_SECONDS, Trial, any_of, any_transport
from tests.chaos.watching import Habits

# Of each user, in the order in which they ask.
QUESTIONS = (4, 3, 1)
WORDS = 6
# What all the answers may take, one after the other.
LINE_SECONDS = 20
HOLDERS = "SELECT id, node FROM generations WHERE line IS NOT NULL AND ended_at IS NULL"
STARTS = "SELECT id, started_at FROM generations WHERE id = ANY($1) ORDER BY started_at"
CLOCK = "SELECT clock_timestamp() AS now"


async def holder_killed(trial: Trial) -> None:
    """In every other round it has said something and ends INTERRUPTED, else it goes back into the line. Half of the dead
    are started again at once, and free the slot themselves."""
    for turn in trial.turns():
        async with asyncio.TaskGroup() as tasks:
            name, is_silent = uuid4().hex, turn % 2 == 1
            holder = await _holder(trial, tasks, name, is_silent=is_silent)
            waiting = await _waiting(trial, tasks, name, holder.key)
            (held,) = await trial.stage.sql(HOLDERS)
            victim = next(each for each in trial.stage.processes if each.node == held["node"])
            via = next(each for each in trial.stage.processes if each is not victim)
            killed_at = (await trial.stage.sql(CLOCK))[0]["now"]
            victim.kill()
            at = time.monotonic()
            if turn // 2 % 2:
                await victim.start_again()
            await trial.audit(via, since=at, seconds=STUCK_AFTER_SECONDS + LINE_SECONDS)
        await _judge_turns(trial, [holder, *waiting] if is_silent else waiting, killed_at)
        _judge_slots(trial, name)
        trial.close_round()
        await victim.start_again()


async def _holder(trial: Trial, tasks: asyncio.TaskGroup, name: str, *, is_silent: bool) -> Promise:
    """Returns when it has its slot, and has said something if it will."""
    words, first_delay_ms = (WORDS, 4000) if is_silent else (400, 0)
    promise = await _sent(trial, name, trial.key(), words=words, first_delay_ms=first_delay_ms)
    watcher = trial.watch(tasks, promise, _habits(trial))
    if is_silent:
        await trial.stage.scripted.wait_for(name, lambda request: True)
    else:
        await asyncio.wait_for(watcher.spoken.wait(), 20)
    return promise


async def _waiting(trial: Trial, tasks: asyncio.TaskGroup, name: str, first_key: str) -> list[Promise]:
    """Whoever holds the slot waits with most questions, and has asked them first."""
    promises = list[Promise]()
    for key, questions in zip([first_key, trial.key(), trial.key()], QUESTIONS, strict=True):
        promises += [await _sent(trial, name, key, words=WORDS) for _ in range(questions)]
    for promise in promises:
        trial.watch(tasks, promise, _habits(trial))
    return promises


async def _sent(trial: Trial, name: str, key: str, **script: Any) -> Promise:
    process = random.choice(trial.stage.pair)
    return await trial.send(process, key=key, model="scarce", id=name, delay_ms=20, **script)


def _habits(trial: Trial) -> Habits:
    return Habits(choose=any_of(trial.stage.processes), transport=any_transport)


async def _judge_turns(trial: Trial, promises: Sequence[Promise], killed_at: datetime) -> None:
    """At each start: of all users who still wait, this one has had the fewest turns."""
    keys = {uuid_of("Generation", promise.generation): promise.key for promise in promises}
    starts = await trial.stage.sql(STARTS, list(keys))
    trial.measure("line goes on after s", (starts[0]["started_at"] - killed_at).total_seconds())
    order = [keys[start["id"]] for start in starts]
    had = Counter[str]()
    for place, key in enumerate(order):
        fewest = min(had[other] for other in order[place:])
        names = [sorted(set(order)).index(each) for each in order]
        trial.expect(had[key] == fewest, OTHER, "turns that are fair", f"turn {place} of the users {names}")
        had[key] += 1


def _judge_slots(trial: Trial, name: str) -> None:
    """By the model server's own clock."""
    asked = sorted(trial.stage.scripted.requests(name), key=lambda request: float(request["at"]))
    trial.counted["answers of the model"] += len(asked)
    at_once = sum(after["at"] < before["ended_at"] for before, after in pairwise(asked))
    trial.expect(at_once == 0, OTHER, "one answer at a time", f"{at_once} of {len(asked)} too early")
