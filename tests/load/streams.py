"""What streaming costs, as ratios to a direct call and to a plain server of the same schema, measured in turns:
`python -m tests.load.streams`; with `--write` the tables go into BENCHMARKS.md.
"""

import argparse
from asyncio import Runner
from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple, dataclass, field
from statistics import median

import aiohttp
import uvloop

from tests.e2e.served import ROOT
from tests.load.client import Heard, opened_session
from tests.load.loads import Load, first_words, first_words_straight, idle_follower_kb, idle_run_kb, load
from tests.load.systems import System, Systems, running_systems

CONCURRENT, REPLIES_EACH = 5, 6
STREAMS = (20, 50, 100, 200)
PARTS = ("first", "loads", "idle")
IDLE = 1_000
# Beyond what it can do, a server only falls behind, and takes the longer.
HOPELESS_MS = 2_000
# Half of all words within it: so many streams a server keeps up with.
KEPT_UP_MS = 100
BENCHMARKS = ROOT / "BENCHMARKS.md"
FIRST_LINE, LAST_LINE = "<!-- tests.load.streams -->", "<!-- end of tests.load.streams -->"


@dataclass(frozen=True, slots=True)
class Measured:
    straight: list[float] = field(default_factory=list)
    heard: dict[str, list[Heard]] = field(default_factory=dict)
    loads: dict[str, list[Load]] = field(default_factory=dict)
    idle_kb: dict[str, list[float]] = field(default_factory=dict)


async def measure(rounds: int, parts: Collection[str], streams: Sequence[int]) -> Measured:
    measured = Measured()
    for _ in range(rounds):
        if "idle" in parts:
            await _measure_idle(measured)
        async with running_systems() as systems, opened_session() as session:
            if "first" in parts:
                await _measure_first_words(session, systems, measured)
            if "loads" in parts:
                await _measure_loads(session, systems, measured, streams)
    return measured


async def _measure_idle(measured: Measured) -> None:
    """In processes that have done nothing before, for what was freed is used again and grows nothing."""
    async with running_systems() as systems, opened_session() as session:
        plain = await idle_run_kb(session, systems.plain, IDLE)
        measured.idle_kb.setdefault("plain", []).append(plain)
        followed = await idle_follower_kb(session, systems.gus, IDLE)
        measured.idle_kb.setdefault("followed", []).append(followed)
    async with running_systems() as systems, opened_session() as session:
        measured.idle_kb.setdefault("gus", []).append(await idle_run_kb(session, systems.gus, IDLE))


async def _measure_first_words(session: aiohttp.ClientSession, systems: Systems, measured: Measured) -> None:
    for _ in range(3):
        straight = await first_words_straight(session, systems.model, concurrent=CONCURRENT, each=REPLIES_EACH)
        measured.straight.extend(straight)
        for system in systems.both:
            heard = await first_words(session, system, concurrent=CONCURRENT, each=REPLIES_EACH)
            measured.heard.setdefault(system.name, []).extend(heard)


async def _measure_loads(
    session: aiohttp.ClientSession, systems: Systems, measured: Measured, loads: Sequence[int]
) -> None:
    for streams in loads:
        for system in systems.both:
            if not _is_hopeless(measured, system, streams):
                found = await load(session, system, systems.model, streams)
                measured.loads.setdefault(system.name, []).append(found)
                print(system.name, found, flush=True)


def _is_hopeless(measured: Measured, system: System, streams: int) -> bool:
    lighter = [each for each in measured.loads.get(system.name, ()) if each.streams < streams]
    return any(each.worst_ms > HOPELESS_MS for each in lighter)


def report(measured: Measured, parts: Collection[str]) -> str:
    tables = {"first": _first_words, "loads": _loads, "idle": _idle}
    chosen = [table for part, table in tables.items() if part in parts]
    return "\n\n".join(table(measured) for table in ([_goals] if len(chosen) == len(tables) else []) + chosen)


def _goals(measured: Measured) -> str:
    added, plain_added = (_added_ms(measured, name) for name in ("gus", "plain"))
    ours, theirs = (_heaviest_kept_up(measured, name) for name in ("gus", "plain"))
    times, idle = ours.streams_per_core / theirs.streams_per_core, median(measured.idle_kb["followed"])
    rows = [
        (
            "added time to the first word, of the plain server's",
            "at most 0.25",
            added / plain_added,
            added <= plain_added / 4,
        ),
        (
            "streams of 50 words/s per core, at the heaviest load kept up with, times the plain server's",
            "at least 4",
            times,
            times >= 4,
        ),
        (
            f"p99 of delivery at that load ({ours.streams} streams), ms",
            "at most 100",
            ours.worst_ms,
            ours.worst_ms <= 100,
        ),
        (f"memory per idle subscription at {IDLE:,}, KB", "at most 45", idle, idle <= 45),
    ]
    told = [(what, goal, f"{figure:.2f}", "yes" if met else "**no**") for what, goal, figure, met in rows]
    return _table(("goal", "", "measured", "met"), told)


def _heaviest_kept_up(measured: Measured, name: str) -> Load:
    """A server that falls behind has less to do for each word, but nobody wants to read it."""
    medians = _medians(measured, name)
    return max(
        (each for each in medians if each.lag_ms <= KEPT_UP_MS), key=lambda each: each.streams, default=medians[0]
    )


def _first_words(measured: Measured) -> str:
    rows = [("straight to the model", f"{_straight_ms(measured):.1f}", "", "")]
    for name in ("plain", "gus"):
        since_subscribed = _p50_ms(heard.since_subscribed for heard in measured.heard[name]) - _straight_ms(measured)
        added = _added_ms(measured, name)
        rows.append((name, f"{added + _straight_ms(measured):.1f}", f"{added:.1f}", f"{since_subscribed:.1f}"))
    heads = (f"first word, {CONCURRENT} concurrent", "p50, ms", "added, ms", "added since the subscription, ms")
    return _table(heads, rows)


def _loads(measured: Measured) -> str:
    heads = (
        "streams, server",
        "CPU per word, us",
        "streams per core",
        "with send and end, us",
        "PostgreSQL, us",
        "delivery p50, ms",
        "p99, ms",
        "p99 straight, ms",
        "words per frame",
    )
    return _table(heads, [row for streams in _tried(measured) for row in _load_rows(measured, streams)])


def _load_rows(measured: Measured, streams: int) -> Iterable[tuple[str, ...]]:
    for name in ("plain", "gus"):
        for found in _medians(measured, name):
            if found.streams == streams:
                yield (
                    f"{streams}, {name}",
                    f"{found.token_us:.0f}",
                    f"{found.streams_per_core:.0f}",
                    f"{found.reply_us:.0f}",
                    f"{found.postgres_us:.0f}",
                    f"{found.lag_ms:.1f}",
                    f"{found.worst_ms:.0f}",
                    f"{found.control_ms:.0f}",
                    f"{found.tokens_per_frame:.1f}",
                )


def _idle(measured: Measured) -> str:
    kinds = {
        "followed": "gus, following one of 30 runs",
        "gus": "gus, following a run of its own, whose model is connected",
        "plain": "plain, with a connection to the model",
    }
    rows = [(words, f"{median(measured.idle_kb[kind]):.0f}") for kind, words in kinds.items()]
    return _table((f"{IDLE:,} idle subscriptions, a socket each", "KB each"), rows)


def _medians(measured: Measured, name: str) -> list[Load]:
    return [_median(name, streams, measured) for streams in _tried(measured) if _found(name, streams, measured)]


def _tried(measured: Measured) -> list[int]:
    return sorted({each.streams for found in measured.loads.values() for each in found})


def _found(name: str, streams: int, measured: Measured) -> list[Load]:
    return [each for each in measured.loads.get(name, ()) if each.streams == streams]


def _median(name: str, streams: int, measured: Measured) -> Load:
    columns = zip(*(astuple(load)[1:] for load in _found(name, streams, measured)), strict=True)
    return Load(streams, *map(median, columns))


def _straight_ms(measured: Measured) -> float:
    return _p50_ms(measured.straight)


def _added_ms(measured: Measured, name: str) -> float:
    return _p50_ms(heard.since_sent for heard in measured.heard[name]) - _straight_ms(measured)


def _p50_ms(seconds: Iterable[float]) -> float:
    return median(seconds) * 1000


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(tables: str) -> None:
    text = BENCHMARKS.read_text()
    head, _, rest = text.partition(FIRST_LINE)
    _, _, tail = rest.partition(LAST_LINE)
    BENCHMARKS.write_text(f"{head}{FIRST_LINE}\n\n{tables}\n\n{LAST_LINE}{tail}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--write", action="store_true", help="into BENCHMARKS.md")
    arguments.add_argument("--rounds", type=int, default=3, help="each about three minutes; the tables show medians")
    arguments.add_argument("--only", action="append", choices=PARTS, help="this part; may be given several times")
    arguments.add_argument("--streams", type=int, action="append", help="so many at once; may be given several times")
    given = arguments.parse_args()
    if given.write and (given.only or given.streams):
        arguments.error("--write needs all parts")
    parts = given.only or PARTS
    with Runner(loop_factory=uvloop.new_event_loop) as runner:
        tables = report(runner.run(measure(given.rounds, parts, given.streams or STREAMS)), parts)
    print(tables)
    if given.write:
        write(tables)


if __name__ == "__main__":
    main()
