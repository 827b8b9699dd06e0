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
# So little is no harm, and below it a doubling is the noise of two busy cores.
HARMLESS_MS = 100.0
OBSERVED_SECONDS = 4.0


async def cut_hard(trial: Trial) -> None:
    """A round is one socket that follows a run which says nothing."""
    process, sockets, trial.rounds = trial.stage.pair[0], trial.rounds, 1
    for _ in trial.turns():
        promises = await _quiet_runs(trial, process)
        await _abort(await _followed(process, promises, 100))
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
    """A round is one client; all lose their process and come to the other one in the same instant."""
    first, then = trial.stage.pair
    clients, trial.rounds = trial.rounds, 1
    for _ in trial.turns():
        here = [first]
        talking = [await trial.send(first, key=key, words=240, delay_ms=50, tag="") for key in trial.stage.keys[:20]]
        habits = Habits(choose=lambda: here[0], older=0, pause=0)
        watchers = [trial.watcher(talking[number % len(talking)], habits) for number in range(clients)]
        async with _healthy(trial, then) as during, _memory_and_connections(trial, then, LASTING_MB):
            tasks = [asyncio.create_task(at_most(watcher)) for watcher in watchers]
            await asyncio.gather(*(watcher.spoken.wait() for watcher in watchers))
            await asyncio.sleep(OBSERVED_SECONDS)
            during.append(time.time())
            here[0] = then
            await _again(trial, tasks, watchers)
        await trial.audit(then)
        trial.close_round()


async def _again(trial: Trial, tasks: Sequence["asyncio.Task[None]"], watchers: Sequence[Watcher]) -> None:
    for task in tasks:
        task.cancel()
    seen = [len(watcher.seen) for watcher in watchers]
    began = time.monotonic()
    again = [asyncio.create_task(at_most(watcher)) for watcher in watchers]
    while not all(_told_again(*each) for each in zip(watchers, seen, strict=True)):
        await asyncio.sleep(0.02)
    trial.measure("all told again after s", time.monotonic() - began)
    await asyncio.gather(*again)


def _told_again(watcher: Watcher, before: int) -> bool:
    return watcher.ended or len(watcher.seen) > before


async def not_reading(trial: Trial) -> None:
    """A round is one socket that asks for a long log many times over and reads nothing of it."""
    process, sockets, trial.rounds = trial.stage.pair[0], trial.rounds, 1
    for _ in trial.turns():
        long = [
            await trial.send(process, key=key, words=1000, delay_ms=1, tag="x" * 1000) for key in trial.stage.keys[:5]
        ]
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
    promise = await trial.send(process, key=trial.stage.keys[-1], words=700, delay_ms=20, tag="")
    child = await healthy.begin(process, promise)
    moments = list[float]()
    await asyncio.sleep(1)
    began = time.time()
    yield moments
    late = await healthy.end(child)
    before, during = late.p99_ms(began, moments[0]), late.p99_ms(moments[0], moments[0] + OBSERVED_SECONDS)
    trial.measure("healthy p99 before ms", before)
    trial.measure("healthy p99 meanwhile ms", during)
    limit = max(2 * before, HARMLESS_MS)
    trial.expect(during <= limit, SLOW, f"a healthy client's p99 of at most {limit:.0f} ms", f"{during:.0f} ms")


async def _ended(trial: Trial) -> None:
    while await trial.stage.sql("SELECT 1 FROM generations WHERE ended_at IS NULL LIMIT 1"):
        await asyncio.sleep(0.2)
