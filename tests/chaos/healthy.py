"""A client that does nothing wrong, in a process of its own: how late its events are while others misbehave."""

import argparse
import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from statistics import quantiles

from tests.chaos.front_end import follow_ws
from tests.chaos.ledger import Promise
from tests.chaos.stage import Process as Gus
from tests.e2e.served import ROOT

FOLLOWING = b"following\n"


@dataclass(frozen=True, slots=True)
class Lateness:
    """Of each event: when it arrived, by the wall clock, and how long after it was stored."""

    events: tuple[tuple[float, float], ...]

    def p99_ms(self, begin: float, end: float) -> float:
        late = [late for arrived, late in self.events if begin <= arrived < end]
        return 1000 * quantiles(late, n=100)[98]


async def begin(process: Gus, promise: Promise) -> Process:
    """The key goes by the environment: every user of the machine can read a command line."""
    command = (sys.executable, "-m", "tests.chaos.healthy", process.origin, promise.generation)
    environ = os.environ | {"CHAOS_KEY": promise.key, "PYTHONPATH": str(ROOT)}
    child = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environ, stdout=PIPE)
    assert child.stdout is not None
    assert await child.stdout.readline() == FOLLOWING
    return child


async def end(child: Process) -> Lateness:
    """Once its run has ended."""
    output, _ = await child.communicate()
    return Lateness(tuple((arrived, late) for arrived, late in json.loads(output)))


async def _follow(origin: str, generation: str) -> None:
    events, began = list[tuple[float, float]](), time.time()
    async for event in follow_ws(origin, os.environ["CHAOS_KEY"], generation, 0):
        now = time.time()
        # What was stored before it came is late by its own doing.
        if event.at > began:
            if not events:
                print(FOLLOWING.decode(), end="", flush=True)
            events.append((now, now - event.at))
    print(json.dumps(events))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("origin")
    arguments.add_argument("generation")
    given = arguments.parse_args()
    asyncio.run(_follow(given.origin, given.generation))


if __name__ == "__main__":
    main()
