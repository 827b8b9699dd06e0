"""What happens to processes: killed, frozen past their lease, told to end."""

import asyncio
import random
import time
from typing import Literal

from tests.chaos.audit import UNFINISHED
from tests.chaos.ledger import ENDS, OTHER, STUCK, Violation
from tests.chaos.stage import GRACE_SECONDS, LEASE_SECONDS, Process
from tests.chaos.trial import STUCK_AFTER_SECONDS, Trial, always, any_transport, first_then
from tests.chaos.watching import Habits, Watcher

STREAMS = 10
# Of the ten: so many have said nothing when the fault comes, and start over.
SILENT = 2
# Some end while the fault lasts, some long after.
LENGTHS = (100, 200, 400)
# After the grace: the last runs are ended, their followers told, sockets and parts closed.
EXIT_SECONDS = GRACE_SECONDS + 5
NONE_TAKEN_OVER = "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM generations WHERE ended_at IS NULL AND attempt > 1)"
FATE = "SELECT id, attempt, last_seq, status FROM generations WHERE ended_at IS NOT NULL ORDER BY id"


async def killed(trial: Trial) -> None:
    """kill -9, in every other round with a new start at once: then it and the other one race for what it left."""
    for turn in trial.turns():
        victim, other = trial.stage.pair_from(turn)
        async with asyncio.TaskGroup() as tasks:
            await _ten_live_streams(trial, tasks, victim, other)
            late = [tasks.create_task(_sent_and_watched(trial, tasks, victim, other)) for _ in range(3)]
            await asyncio.sleep(random.uniform(0, 0.05))
            victim.kill()
            at = time.monotonic()
            if turn % 2:
                await victim.start_again()
            await asyncio.gather(*late)
            await trial.audit(other, since=at)
        trial.close_round()
        await victim.start_again()


async def frozen(trial: Trial) -> None:
    """SIGSTOP past the lease, then SIGCONT: once the other one has ended all, at any moment, or while it does a run over."""
    for turn in trial.turns():
        victim, other = trial.stage.pair_from(turn)
        async with asyncio.TaskGroup() as tasks:
            await _ten_live_streams(trial, tasks, victim, other, silence=1.5, first_delay_ms=4000)
            staying = _staying(trial, tasks, victim)
            victim.freeze()
            at = time.monotonic()
            await _sent_and_watched(trial, tasks, victim, other)
            await _past_the_lease(trial, at, until=("all ended", "any moment", "taken over")[turn % 3])
            before = await _fates(trial)
            victim.thaw()
            trial.measure("frozen for s", time.monotonic() - at)
            await asyncio.sleep(2)
            _compare_fates(trial, before, await _fates(trial))
            await trial.audit(other, since=at, seconds=STUCK_AFTER_SECONDS + 5)
        trial.counted["stayed with the frozen one"] += sum(watcher.ended for watcher in staying)
        trial.close_round()


async def told_to_end(trial: Trial) -> None:
    """SIGTERM, while streams run and sends come in."""
    for turn in trial.turns():
        victim, other = trial.stage.pair_from(turn)
        async with asyncio.TaskGroup() as tasks:
            await _ten_live_streams(trial, tasks, victim, other, first_delay_ms=5000)
            sending = tasks.create_task(_keep_sending(trial, tasks, victim, other))
            await asyncio.sleep(0.3)
            victim.terminate()
            at = time.monotonic()
            code = await victim.ended()
            took = time.monotonic() - at
            trial.measure("exit after s", took)
            trial.expect(code == 0, OTHER, "exit code 0", f"{code}")
            trial.expect(took <= EXIT_SECONDS, STUCK, f"an exit within {EXIT_SECONDS} s", f"{took:.1f} s")
            sending.cancel()
            await trial.audit(other, since=at)
        trial.close_round()
        await victim.start_again()


async def _ten_live_streams(
    trial: Trial,
    tasks: asyncio.TaskGroup,
    victim: Process,
    other: Process,
    *,
    silence: float | None = None,
    first_delay_ms: float = 3000,
) -> None:
    """Returns when those that speak have been heard; most are followed at the victim, some elsewhere too."""
    watchers = list[Watcher]()
    for number in range(STREAMS):
        silent = number < SILENT
        words, delay = (40, first_delay_ms) if silent else (random.choice(LENGTHS), 0)
        promise = await trial.send(victim, words=words, delay_ms=20, first_delay_ms=delay)
        habits = Habits(choose=first_then(victim, other), transport=any_transport, silence=silence)
        watcher = trial.watch(tasks, promise, habits)
        if not silent:
            watchers.append(watcher)
        if number % 3 == 0:
            trial.watch(tasks, promise, Habits(choose=always(other), transport=any_transport))
    async with asyncio.timeout(20):
        await asyncio.gather(*(watcher.spoken.wait() for watcher in watchers))
    await asyncio.sleep(random.uniform(0, 1.5))


async def _sent_and_watched(trial: Trial, tasks: asyncio.TaskGroup, victim: Process, other: Process) -> None:
    promise = await trial.send(victim, other, words=30, delay_ms=10)
    trial.watch(tasks, promise, Habits(choose=first_then(other, other)))


async def _keep_sending(trial: Trial, tasks: asyncio.TaskGroup, victim: Process, other: Process) -> None:
    while True:
        # A send that was begun is not left: it may have been stored.
        await asyncio.shield(tasks.create_task(_sent_and_watched(trial, tasks, victim, other)))
        await asyncio.sleep(0.15)


def _staying(trial: Trial, tasks: asyncio.TaskGroup, victim: Process) -> list[Watcher]:
    """They wait for the frozen one, however long."""
    promises = trial.promises[SILENT : SILENT + 4]
    return [trial.watch(tasks, promise, Habits(choose=always(victim), silence=None)) for promise in promises]


async def _past_the_lease(trial: Trial, at: float, *, until: Literal["all ended", "any moment", "taken over"]) -> None:
    match until:
        case "all ended":
            await trial.until_none(UNFINISHED, at + STUCK_AFTER_SECONDS - time.monotonic())
        case "any moment":
            await asyncio.sleep(max(0, at + random.uniform(LEASE_SECONDS, 3 * LEASE_SECONDS) - time.monotonic()))
        case "taken over":
            await trial.until_none(NONE_TAKEN_OVER, at + STUCK_AFTER_SECONDS - time.monotonic())
            await asyncio.sleep(random.uniform(0, 0.5))


Fates = dict[object, tuple[object, ...]]


async def _fates(trial: Trial) -> Fates:
    """Of the runs that have ended: nothing may change them any more."""
    return {row["id"]: tuple(row.values()) for row in await trial.stage.sql(FATE)}


def _compare_fates(trial: Trial, before: Fates, after: Fates) -> None:
    changed = [(was, after.get(id)) for id, was in before.items() if after.get(id) != was]
    trial.counted["zombie writes"] += len(changed)
    for was, now in changed:
        trial.violate(Violation(ENDS, f"{was} to stay", f"{now}", str(was[0])))
