"""One fault, tried for a number of rounds: who sends and follows meanwhile, what is counted, and what went wrong."""

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from tests.chaos.audit import audit
from tests.chaos.front_end import FrontEnd, NoAnswer, Sent, Transport
from tests.chaos.ledger import ALWAYS_COUNTED, COMPLAINED, STUCK, UNTYPED, Promise, Violation
from tests.chaos.stage import LEASE_SECONDS, Process, Stage
from tests.chaos.watching import Habits, Watcher

STUCK_AFTER_SECONDS = LEASE_SECONDS + 10
SEND_PATIENCE_SECONDS = 60
LONGEST_WATCH_SECONDS = 45
# What a client answers by sending the same again, with the same key, to whoever answers.
SEND_AGAIN = {None, "SERVER_DRAINING", "UNAVAILABLE", "THROTTLED", "TIMEOUT"}


@dataclass(slots=True)
class Trial:
    """`worst`: the largest of each figure, in its unit."""

    name: str
    rounds: int
    stage: Stage
    front_end: FrontEnd
    say: Callable[[str], None]
    round: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    worst: dict[str, float] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    watchers: list[Watcher] = field(default_factory=list)
    _turns: "itertools.cycle[str] | None" = None

    def turns(self) -> Iterable[int]:
        for number in range(self.rounds):
            self.round = number + 1
            yield number
            self.say(self.line())

    def line(self) -> str:
        counted = ", ".join(f"{what} {count:,}" for what, count in self.counted.items())
        worst = ", ".join(f"{what} {figure:.1f}" for what, figure in self.worst.items())
        wrong = ", ".join(f"{what} {count}" for what, count in self.wrong().items())
        return f"{self.name} {self.round}/{self.rounds}: {counted}; {worst}; {wrong or 'violations 0'}"

    def wrong(self) -> Counter[str]:
        return Counter(violation.what for violation in self.violations)

    def verdict(self) -> str:
        """The counts that must be 0, those that never were anything else in one word."""
        wrong = self.wrong()
        shown = [f"{what} {wrong[what]}" for what in ALWAYS_COUNTED]
        return ", ".join(shown + [f"{what} {count}" for what, count in wrong.items() if what not in ALWAYS_COUNTED])

    def violate(self, violation: Violation) -> None:
        self.violations.append(violation)
        if len(self.violations) <= 20:
            self.say(f"  VIOLATION {self.name}, round {self.round}: {violation}")

    def expect(self, holds: bool, what: str, expected: str, found: str) -> None:
        if not holds:
            self.violate(Violation(what, expected, found))

    def measure(self, what: str, figure: float) -> None:
        self.worst[what] = max(self.worst.get(what, 0.0), figure)

    def key(self) -> str:
        if self._turns is None:
            self._turns = itertools.cycle(self.stage.keys)
        return next(self._turns)

    async def send(
        self, *processes: Process, key: str | None = None, model: str | None = None, **script: Any
    ) -> Promise:
        """Until it is acknowledged, to one process after the other, by one idempotency key."""
        key, idempotency_key = key or self.key(), str(uuid4())
        script.setdefault("tag", random.choice(["", f"🌳{uuid4().hex[:6]}"]))
        question = f"script: {json.dumps(script)}"
        sent = await self._acknowledged(
            processes,
            lambda origin: self.front_end.send(origin, key, question, idempotency_key, model=model, seconds=5),
        )
        promise = Promise(key, idempotency_key, question, int(script["words"]), sent, time.monotonic())
        self.promises.append(promise)
        self.counted["sends"] += 1
        return promise

    async def go_on(self, promise: Promise, kept: str, *processes: Process) -> Promise:
        """The same for continueReply, of a reply that has `kept` so far."""
        key, idempotency_key, reply = promise.key, str(uuid4()), promise.sent.reply
        sent = await self._acknowledged(
            processes, lambda origin: self.front_end.go_on(origin, key, reply, idempotency_key, seconds=5)
        )
        promise.goes_on = True
        again = replace(promise, sent=sent, acknowledged_at=time.monotonic(), kept=kept, goes_on=False, shown={})
        self.promises.append(again)
        self.counted["continued"] += 1
        return again

    async def _acknowledged(self, processes: Sequence[Process], call: Callable[[str], Awaitable[Sent]]) -> Sent:
        deadline = time.monotonic() + SEND_PATIENCE_SECONDS
        for process in itertools.cycle(processes):
            try:
                return await call(process.origin)
            except NoAnswer as failure:
                self.counted["sent again"] += 1
                self._check_refusal(failure)
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.1)
        raise AssertionError("there is always another one")

    def _check_refusal(self, failure: NoAnswer) -> None:
        if failure.untyped is not None or failure.code not in SEND_AGAIN:
            self.violate(Violation(UNTYPED, "a typed refusal", f"{failure.code} {failure.untyped}"))

    def watcher(self, promise: Promise, habits: Habits) -> Watcher:
        watcher = Watcher(self.front_end, promise, habits, self.violate)
        self.watchers.append(watcher)
        return watcher

    def watch(self, tasks: asyncio.TaskGroup, promise: Promise, habits: Habits) -> Watcher:
        watcher = self.watcher(promise, habits)
        tasks.create_task(at_most(watcher))
        return watcher

    async def audit(self, via: Process, *, since: float | None = None, seconds: float = STUCK_AFTER_SECONDS) -> None:
        """Closes the books of this round. `since`: when the fault happened, from which the time until all ended counts."""
        waited = 0.0 if since is None else time.monotonic() - since
        done = await audit(self.stage, self.front_end, self.promises, via=via, seconds=max(seconds - waited, 1))
        for violation in done.violations:
            self.violate(violation)
        self.counted.update(done.statuses.values())
        if since is not None:
            self.measure("all ended after s", waited + done.seconds)

    async def until_none(self, statement: str, seconds: float) -> None:
        """Until it finds no row, or so long has passed."""
        deadline = time.monotonic() + seconds
        while await self.stage.sql(statement) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)

    def close_round(self) -> None:
        """What clients have seen, and what processes had to complain about."""
        for watcher in self.watchers:
            self.counted["connections"] += watcher.connections
            self.counted["shown"] += len(watcher.seen)
            if watcher.silences:
                self.counted["left in silence"] += watcher.silences
            if not watcher.ended:
                shown = f"none, after seq {len(watcher.seen)} and {watcher.connections} connections"
                self.violate(Violation(STUCK, "an end that is told", shown, watcher.promise.generation))
        for complaint in self.complaints():
            self.violate(Violation(COMPLAINED, "no error", complaint))
        self.watchers.clear()
        self.promises.clear()

    def complaints(self) -> list[str]:
        return [complaint for process in self.stage.processes for complaint in process.complaints()]


async def at_most(watcher: Watcher) -> None:
    try:
        async with asyncio.timeout(LONGEST_WATCH_SECONDS):
            await watcher.follow()
    except TimeoutError:
        # Closing the round finds that it was told of no end, and says so.
        return


async def until(happened: Callable[[], bool], seconds: float) -> None:
    """Or until so long has passed: whoever waits looks himself."""
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        await asyncio.sleep(0.02)


def always(process: Process) -> Callable[[], Process]:
    return lambda: process


def first_then(first: Process, then: Process) -> Callable[[], Process]:
    """Goes elsewhere once it was cut."""
    order = itertools.chain([first], itertools.repeat(then))
    return lambda: next(order)


def any_of(processes: Sequence[Process]) -> Callable[[], Process]:
    return lambda: random.choice(processes)


def any_transport() -> Transport:
    return "sse" if random.random() < 0.3 else "ws"


@asynccontextmanager
async def opened_front_end() -> AsyncIterator[FrontEnd]:
    front_end = FrontEnd()
    try:
        yield front_end
    finally:
        await front_end.close()
