"""Many at once: sockets cut without a word, reconnects in the same instant, subscribers that do not read."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection

from tests.chaos import healthy
from tests.chaos.audit import UNFINISHED
from tests.chaos.front_end import opened, subscribe
from tests.chaos.ledger import OTHER, SLOW, Promise
from tests.chaos.stage import Process
from tests.chaos.trial import Trial, always, at_most, until
from tests.chaos.watching import Habits, Watcher

BACK_SECONDS = 20
AT_ONCE = 50
LASTING_MB = 25.0
SILENT_MB = 50.0
# Half a megabyte to each of the hundred, were it kept for them.
LONG_WORDS = 3000
LONG_TAG = "x" * 200
TALKING = 20
SUBSCRIPTIONS = 20
# So little is no harm, and below it a doubling is the noise of two busy cores.
HARMLESS_MS = 100.0
OBSERVED_SECONDS = 4.0
# Until so long after the last one came their coming is a figure of its own.
SETTLING_SECONDS = 3.0


async def cut_hard(trial: Trial) -> None:
    """A round is one socket that follows a run which says nothing.

    The first thousand brings the process to its working size, which an allocator does not give back; the second must
    find there what it needs.
    """
    process, sockets, trial.rounds = trial.stage.pair[0], trial.rounds, 1
    for _ in trial.turns():
        promises = await _quiet_runs(trial, process)
        idle = process.memory_mb()
        await _abort(await _followed(process, promises, sockets))
        trial.measure("MB more by the first", process.memory_mb() - idle)
        async with _memory_and_connections(trial, process, LASTING_MB):
            connections = await _followed(process, promises, sockets)
            trial.counted["sockets"] += len(connections)
            trial.measure("peak connections", process.connections())
            trial.measure("peak MB", process.memory_mb())
            await _abort(connections)
        for promise in promises:
            await trial.front_end.stop(process.origin, promise.key, promise.generation)
        await trial.audit(process)
        trial.close_round()


async def storm(trial: Trial) -> None:
    """A round is one client; all lose their process and come to the other one in the same instant, three times.

    There and back is to warm both; the third storm is measured.
    """
    first, then = trial.stage.pair
    clients, trial.rounds = trial.rounds, 1
    for _ in trial.turns():
        keys = trial.stage.keys[:TALKING]
        talking = [await trial.send(first, key=key, words=120, delay_ms=250, tag="") for key in keys]
        crowd = Crowd(trial, [talking[number % TALKING] for number in range(clients)], first)
        await crowd.gather_at(first)
        await crowd.gather_at(then)
        await crowd.gather_at(first)
        async with _healthy(trial, then) as moments, _memory_and_connections(trial, then, LASTING_MB):
            await asyncio.sleep(OBSERVED_SECONDS)
            moments.append(time.time())
            trial.measure("all told again after s", await crowd.gather_at(then))
            await crowd.disperse()
        await trial.audit(then, seconds=60)
        trial.close_round()


class Crowd:
    """Clients that are all at one process, one connection each."""

    def __init__(self, trial: Trial, promises: Sequence[Promise], process: Process) -> None:
        self._at = process
        habits = Habits(choose=lambda: self._at, older=0, pause=0)
        self._watchers = [trial.watcher(promise, habits) for promise in promises]
        self._tasks: list[asyncio.Task[None]] = []

    async def gather_at(self, process: Process) -> float:
        """Returns how many seconds it took until all were told something there."""
        for task in self._tasks:
            task.cancel()
        self._at, began = process, time.monotonic()
        seen = [len(watcher.seen) for watcher in self._watchers]
        self._tasks = [asyncio.create_task(at_most(watcher)) for watcher in self._watchers]
        await until(lambda: all(_told_again(*each) for each in zip(self._watchers, seen, strict=True)), 60)
        return time.monotonic() - began

    async def disperse(self) -> None:
        """When all have seen their end."""
        await asyncio.gather(*self._tasks)


def _told_again(watcher: Watcher, before: int) -> bool:
    return watcher.ended or len(watcher.seen) > before


async def not_reading(trial: Trial) -> None:
    """A round is one socket that asks for a long log and reads nothing of it."""
    process, sockets, trial.rounds = trial.stage.pair[0], trial.rounds, 1
    for _ in trial.turns():
        long = [
            await trial.send(process, key=key, words=LONG_WORDS, delay_ms=1, tag=LONG_TAG)
            for key in trial.stage.keys[:5]
        ]
        await trial.until_none(UNFINISHED, 60)
        async with _healthy(trial, process) as moments, _memory_and_connections(trial, process, SILENT_MB) as before:
            await asyncio.sleep(OBSERVED_SECONDS)
            moments.append(time.time())
            connections = await _followed(process, long, sockets, receive_buffer=4096)
            await asyncio.sleep(SETTLING_SECONDS)
            moments.append(time.time())
            trial.counted["subscriptions unread"] += len(connections)
            await asyncio.sleep(OBSERVED_SECONDS)
            grown = process.memory_mb() - before
            trial.measure("MB more while unread", grown)
            trial.expect(grown <= SILENT_MB, OTHER, f"at most {SILENT_MB} MB more while unread", f"{grown:.0f} MB")
            await _abort(connections)
        await trial.audit(process)
        trial.close_round()


async def starving(trial: Trial) -> None:
    """A round is one socket with twenty subscriptions to long logs, of which it reads nothing; what is live stays alive."""
    process, sockets, trial.rounds = trial.stage.pair[0], trial.rounds, 1
    for _ in trial.turns():
        long = [
            await trial.send(process, key=key, words=LONG_WORDS, delay_ms=1, tag=LONG_TAG)
            for key in trial.stage.keys[:5]
        ]
        await trial.until_none(UNFINISHED, 60)
        async with asyncio.TaskGroup() as tasks:
            for key in trial.stage.keys[-5:]:
                promise = await trial.send(process, key=key, words=400, delay_ms=25, tag="")
                trial.watch(tasks, promise, Habits(choose=always(process)))
            connections = await _followed(process, long, sockets, receive_buffer=4096, subscriptions=SUBSCRIPTIONS)
            trial.counted["subscriptions unread"] += SUBSCRIPTIONS * len(connections)
        await _abort(connections)
        await trial.audit(process)
        taken = trial.counted["INTERRUPTED"]
        trial.expect(taken == 0, OTHER, "live runs to keep their leases", f"{taken} of them INTERRUPTED")
        trial.close_round()


async def _quiet_runs(trial: Trial, process: Process) -> list[Promise]:
    return [await trial.send(process, key=key, words=2, first_delay_ms=120_000) for key in trial.stage.keys]


async def _followed(
    process: Process,
    promises: Sequence[Promise],
    sockets: int,
    *,
    receive_buffer: int | None = None,
    subscriptions: int = 1,
) -> list[ClientConnection]:
    """So many sockets, none of which will be read any more."""
    room = asyncio.Semaphore(max(AT_ONCE // subscriptions, 1))

    async def one(promise: Promise) -> ClientConnection:
        async with room:
            connection = await opened(process.origin, promise.key, unread=1, receive_buffer=receive_buffer)
            for number in range(subscriptions):
                await subscribe(connection, promise.generation, 0, str(number))
            return connection

    return list(await asyncio.gather(*(one(promises[number % len(promises)]) for number in range(sockets))))


async def _abort(connections: Sequence[ClientConnection]) -> None:
    for connection in connections:
        connection.transport.abort()
    await asyncio.gather(*(connection.wait_closed() for connection in connections))


@asynccontextmanager
async def _memory_and_connections(trial: Trial, process: Process, most_mb: float) -> AsyncIterator[float]:
    """Both are back at the end, or almost. Yields the memory at the start."""
    connections, memory = process.connections(), process.memory_mb()
    yield memory
    await until(lambda: process.connections() <= connections, BACK_SECONDS)
    still = process.connections()
    trial.expect(still <= connections, OTHER, f"{connections} connections, as before", f"{still}")
    grown = process.memory_mb() - memory
    trial.measure("MB more at the end", grown)
    trial.expect(grown <= most_mb, OTHER, f"at most {most_mb} MB more at the end", f"{grown:.0f} MB")


@asynccontextmanager
async def _healthy(trial: Trial, process: Process) -> AsyncIterator[list[float]]:
    """Somebody who reads, all the while; what is appended is when others came, and when they were there."""
    promise = await trial.send(process, key=trial.stage.keys[-1], words=800, delay_ms=25, tag="")
    child = await healthy.begin(process, promise)
    moments = list[float]()
    yield moments
    late = await healthy.end(child)
    before = late.p99_ms(moments[0] - OBSERVED_SECONDS, moments[0])
    during = late.p99_ms(moments[-1], moments[-1] + OBSERVED_SECONDS)
    trial.measure("healthy p99 before ms", before)
    trial.measure("healthy p99 meanwhile ms", during)
    if len(moments) > 1:
        trial.measure("healthy p99 while they come ms", late.p99_ms(moments[0], moments[-1]))
    limit = max(2 * before, HARMLESS_MS)
    trial.expect(during <= limit, SLOW, f"a healthy client's p99 of at most {limit:.0f} ms", f"{during:.0f} ms")
