"""A reply that is told to go on, twice, and each time its process is killed: what was kept stays, byte for byte."""

import asyncio
import random
import time
from collections.abc import Sequence

from tests.chaos.audit import UNFINISHED
from tests.chaos.front_end import Log
from tests.chaos.ledger import UNSTORED, Promise, text_of
from tests.chaos.stage import Process
from tests.chaos.trial import STUCK_AFTER_SECONDS, Trial, any_transport, first_then
from tests.chaos.watching import Habits, Watcher

REPLIES = 6
# So many of them are just being told to go on when the fault comes.
LATE = 2
WORDS, DELAY_MS = 250, 20


async def killed(trial: Trial) -> None:
    """In every other round the dead process is there again at once, and ends what it left."""
    for turn in trial.turns():
        victim, other = trial.stage.pair_from(turn)
        promises = await _begun(trial, victim, other, again=turn % 2 == 0)
        promises = await _gone_on(trial, promises, other, victim, again=turn % 2 == 1)
        async with asyncio.TaskGroup() as tasks:
            for promise, log in await _interrupted(trial, promises, victim):
                _watch(trial, tasks, await trial.go_on(promise, log.reply_text, victim, other), victim, other)
            await trial.audit(random.choice(trial.stage.pair))
        trial.close_round()


async def _begun(trial: Trial, victim: Process, other: Process, *, again: bool) -> list[Promise]:
    async with asyncio.TaskGroup() as tasks:
        promises = [await trial.send(victim, model="patient", words=WORDS, delay_ms=DELAY_MS) for _ in range(REPLIES)]
        await _all_spoken([_watch(trial, tasks, promise, victim, other) for promise in promises])
        victim.kill()
        await _recover(trial, victim, again=again)
    return promises


async def _gone_on(
    trial: Trial, promises: Sequence[Promise], victim: Process, other: Process, *, again: bool
) -> list[Promise]:
    left = await _interrupted(trial, promises, victim)
    async with asyncio.TaskGroup() as tasks:
        told = [await trial.go_on(promise, log.reply_text, victim, other) for promise, log in left[LATE:]]
        await _all_spoken([_watch(trial, tasks, promise, victim, other) for promise in told])
        late = [tasks.create_task(trial.go_on(promise, log.reply_text, victim, other)) for promise, log in left[:LATE]]
        await asyncio.sleep(random.uniform(0, 0.03))
        victim.kill()
        told += await asyncio.gather(*late)
        for promise in told[-len(late) :]:
            _watch(trial, tasks, promise, other, other)
        await _recover(trial, victim, again=again)
    return told


async def _interrupted(trial: Trial, promises: Sequence[Promise], via: Process) -> list[tuple[Promise, Log]]:
    """With what they have said; those that were started over may have come to their end."""
    found = list[tuple[Promise, Log]]()
    for promise in promises:
        log = await trial.front_end.log(via.origin, promise.key, promise.generation)
        assert log is not None
        kept = text_of(log.events, promise.kept)
        trial.expect(log.reply_text == kept, UNSTORED, f"{len(kept)} characters kept", f"{len(log.reply_text)}")
        if log.status == "INTERRUPTED":
            found.append((promise, log))
    return found


def _watch(trial: Trial, tasks: asyncio.TaskGroup, promise: Promise, first: Process, then: Process) -> Watcher:
    return trial.watch(tasks, promise, Habits(choose=first_then(first, then), transport=any_transport))


async def _all_spoken(watchers: Sequence[Watcher]) -> None:
    async with asyncio.timeout(20):
        await asyncio.gather(*(watcher.spoken.wait() for watcher in watchers))
    await asyncio.sleep(random.uniform(0, 0.5))


async def _recover(trial: Trial, victim: Process, *, again: bool) -> None:
    """Until all that it left has ended, and it is there again."""
    at = time.monotonic()
    if again:
        await victim.start_again()
    await trial.until_none(UNFINISHED, STUCK_AFTER_SECONDS)
    trial.measure("all ended after s", time.monotonic() - at)
    await victim.start_again()
