"""Many at once: sockets cut without a word, reconnects in the same instant, subscribers that do not read."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection

from tests.chaos import healthy
from tests.chaos.front_end import opened, subscribe
from tests.chaos.ledger import OTHER, SLOW, Promise
from tests.chaos.stage import Process
from tests.chaos.trial import Trial, at_most
from tests.chaos.watching import Habits, Watcher

BACK_SECONDS = 20
AT_ONCE = 50
LASTING_MB = 25.0
SILENT_MB = 50.0
SUBSCRIPTIONS_OF_ONE = 20
TALKING = 20
# So little is no harm, and below it a doubling is the noise of two busy cores.
HARMLESS_MS = 100.0
OBSERVED_SECONDS = 4.0


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
        while not all(_told_again(*each) for each in zip(self._watchers, seen, strict=True)):
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def disperse(self) -> None:
        """When all have seen their end."""
        await asyncio.gather(*self._tasks)


def _told_again(watcher: Watcher, before: int) -> bool:
    return watcher.ended or len(watcher.seen) > before


async def not_reading(trial: Trial) -> None:
    """A round is one socket that asks for a long log many times over and reads nothing of it."""
    process, sockets, trial.rounds = trial.stage.pair[0], trial.rounds, 1
    for _ in trial.turns():
        long = [await trial.send(process, key=key, words=3000, delay_ms=1) for key in trial.stage.keys[:5]]
        await _ended(trial)
        async with _healthy(trial, process) as during, _memory_and_connections(trial, process, SILENT_MB) as before:
            await asyncio.sleep(OBSERVED_SECONDS)
            during.append(time.time())
            connections = await _followed(process, long, sockets, times=SUBSCRIPTIONS_OF_ONE)
            trial.counted["subscriptions unread"] += len(connections) * SUBSCRIPTIONS_OF_ONE
            await asyncio.sleep(OBSERVED_SECONDS)
            grown = process.memory_mb() - before
            trial.measure("MB more while unread", grown)
            trial.expect(grown <= SILENT_MB, OTHER, f"at most {SILENT_MB} MB more while unread", f"{grown:.0f} MB")
            await _abort(connections)
        await trial.audit(process)
        trial.close_round()


async def _quiet_runs(trial: Trial, process: Process) -> list[Promise]:
    return [await trial.send(process, key=key, words=2, first_delay_ms=120_000) for key in trial.stage.keys]


async def _followed(
    process: Process, promises: Sequence[Promise], sockets: int, *, times: int = 1
) -> list[ClientConnection]:
    """So many sockets, none of which will be read any more."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(promise: Promise) -> ClientConnection:
        async with room:
            connection = await opened(process.origin, promise.key, unread=1)
            for name in range(times):
                await subscribe(connection, promise.generation, 0, name=str(name))
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
    began = time.monotonic()
    while (still := process.connections()) > connections and time.monotonic() < began + BACK_SECONDS:
        await asyncio.sleep(0.2)
    trial.expect(still <= connections, OTHER, f"{connections} connections, as before", f"{still}")
    grown = process.memory_mb() - memory
    trial.measure("MB more at the end", grown)
    trial.expect(grown <= most_mb, OTHER, f"at most {most_mb} MB more at the end", f"{grown:.0f} MB")


@asynccontextmanager
async def _healthy(trial: Trial, process: Process) -> AsyncIterator[list[float]]:
    """Somebody who reads, all the while; what is appended is the moment from which others misbehave."""
    promise = await trial.send(process, key=trial.stage.keys[-1], words=600, delay_ms=25, tag="")
    child = await healthy.begin(process, promise)
    moments = list[float]()
    yield moments
    late = await healthy.end(child)
    begin, end = moments[0] - OBSERVED_SECONDS, moments[0] + OBSERVED_SECONDS
    before, during = late.p99_ms(begin, moments[0]), late.p99_ms(moments[0], end)
    trial.measure("healthy p99 before ms", before)
    trial.measure("healthy p99 meanwhile ms", during)
    limit = max(2 * before, HARMLESS_MS)
    trial.expect(during <= limit, SLOW, f"a healthy client's p99 of at most {limit:.0f} ms", f"{during:.0f} ms")


async def _ended(trial: Trial) -> None:
    while await trial.stage.sql("SELECT 1 FROM generations WHERE ended_at IS NULL LIMIT 1"):
        await asyncio.sleep(0.2)
