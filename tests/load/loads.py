"""What is measured of a system: its first token, its tokens under load, its idle subscriptions."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from statistics import median

import aiohttp

from tests.load.client import Delivered, FrontEnd, Heard, ask_model, opened_front_end
from tests.load.model import WORDS_PER_SECOND
from tests.load.systems import System

BETWEEN_STARTS_SECONDS = 0.03
SETTLING_SECONDS = 1.0
WINDOW_SECONDS = 5.0
WORDS_OF_A_SHORT_REPLY = 20
CONTROLS = 5


@dataclass(frozen=True, slots=True)
class Load:
    """So many streams at once, while all of them ran: CPU in microseconds, lags from the model's write to the client.

    `control_ms`: p99 of streams that went straight from the model to the client meanwhile: what the machine itself adds.
    """

    streams: int
    token_us: float
    postgres_us: float
    reply_us: float
    lag_ms: float
    worst_ms: float
    control_ms: float
    tokens_per_frame: float

    @property
    def streams_per_core(self) -> float:
        return 1e6 / self.token_us / WORDS_PER_SECOND


@dataclass(frozen=True, slots=True)
class _Reading:
    words: int
    frames: int
    cpu: float
    postgres: float


async def first_words(session: aiohttp.ClientSession, system: System, *, concurrent: int, each: int) -> list[Heard]:
    """Of users who ask again and again, each as soon as the last reply has ended."""
    async with _front_ends(session, system, concurrent) as front_ends:
        rounds = await asyncio.gather(*(_ask_often(front_end, each) for front_end in front_ends))
    return [heard for round in rounds for heard in round]


async def first_words_straight(
    session: aiohttp.ClientSession, model: str, *, concurrent: int, each: int
) -> list[float]:
    async def often() -> list[float]:
        return [await ask_model(session, model, WORDS_OF_A_SHORT_REPLY, Delivered()) for _ in range(each)]

    return [seconds for times in await asyncio.gather(*(often() for _ in range(concurrent))) for seconds in times]


async def load(session: aiohttp.ClientSession, system: System, model: str, streams: int) -> Load:
    """Every reply is read to its end, and complete, or this raises."""
    ramp = streams * BETWEEN_STARTS_SECONDS + SETTLING_SECONDS
    words = int((ramp + WINDOW_SECONDS) * WORDS_PER_SECOND)
    delivered, control = Delivered(), Delivered()
    async with _front_ends(session, system, streams) as front_ends, asyncio.TaskGroup() as tasks:
        before = _reading(system, delivered)
        asking = [
            tasks.create_task(_ask_later(front_end, number * BETWEEN_STARTS_SECONDS, words, delivered))
            for number, front_end in enumerate(front_ends)
        ]
        controls = [tasks.create_task(ask_model(session, model, words, control)) for _ in range(CONTROLS)]
        await asyncio.sleep(ramp)
        began = _reading(system, delivered)
        await asyncio.sleep(WINDOW_SECONDS)
        ended = _reading(system, delivered)
        await asyncio.gather(*asking, *controls)
        after = _reading(system, delivered)
    tokens, ages = ended.words - began.words, sorted(delivered.age_ms[began.words : ended.words])
    return Load(
        streams=streams,
        token_us=(ended.cpu - began.cpu) / tokens * 1e6,
        postgres_us=(ended.postgres - began.postgres) / tokens * 1e6,
        reply_us=(after.cpu - before.cpu) / after.words * 1e6,
        lag_ms=median(ages),
        worst_ms=percentile(ages, 99),
        control_ms=percentile(sorted(control.age_ms), 99),
        tokens_per_frame=tokens / (ended.frames - began.frames),
    )


async def idle_follower_kb(session: aiohttp.ClientSession, system: System, subscriptions: int) -> float:
    """Growth of its memory for each subscription, on a socket of its own, to one of a few runs whose model is silent."""
    await _warm_up(session, system)
    async with _front_ends(session, system, len(system.keys)) as askers:
        generations = [await asker.send(words=0) for asker in askers]
        before = system.rss_kb()
        async with _front_ends(session, system, subscriptions) as followers:
            for number, follower in enumerate(followers):
                await follower.hear_silence(generations[number % len(generations)])
            return await _growth_kb(system, before) / subscriptions


async def idle_run_kb(session: aiohttp.ClientSession, system: System, subscriptions: int) -> float:
    """As above, with a run and a connection to the model for each."""
    await _warm_up(session, system)
    before = system.rss_kb()
    async with _front_ends(session, system, subscriptions) as front_ends:
        for front_end in front_ends:
            await front_end.hear_silence(await front_end.send(words=0))
        return await _growth_kb(system, before) / subscriptions


async def _warm_up(session: aiohttp.ClientSession, system: System) -> None:
    """What the first sockets and runs cost once is not theirs."""
    await first_words(session, system, concurrent=20, each=2)


async def _growth_kb(system: System, before: float) -> float:
    await asyncio.sleep(SETTLING_SECONDS)
    return system.rss_kb() - before


def percentile(ordered: Sequence[float], percent: int) -> float:
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)]


async def _ask_often(front_end: FrontEnd, times: int) -> list[Heard]:
    return [await front_end.ask(WORDS_OF_A_SHORT_REPLY, Delivered()) for _ in range(times)]


async def _ask_later(front_end: FrontEnd, seconds: float, words: int, delivered: Delivered) -> None:
    await asyncio.sleep(seconds)
    await front_end.ask(words, delivered)


def _reading(system: System, delivered: Delivered) -> _Reading:
    cpu, postgres = system.cpu_seconds(), system.helpers_cpu_seconds()
    return _Reading(len(delivered.age_ms), delivered.frames, cpu, postgres)


@asynccontextmanager
async def _front_ends(session: aiohttp.ClientSession, system: System, count: int) -> AsyncIterator[list[FrontEnd]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                opened_front_end(session, system.origin, system.keys[number % len(system.keys)])
            )
            for number in range(count)
        ]
