"""A client that follows one run to its end over any number of connections, and believes nothing that does not fit."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from tests.chaos.front_end import Event, FrontEnd, Transport
from tests.chaos.ledger import DUPLICATE, ENDS, GAP, LOST, OFFSET, OTHER, UNSTORED, Promise, Violation, text_after
from tests.chaos.stage import Process
from tests.e2e.client import Cut, units

# Whatever is broken, a stream is not ended with these: they say that what was shown is unknown, or that gus is wrong.
NEVER = {
    "NOT_FOUND": LOST,
    "BAD_VARIABLES": UNSTORED,
    "INTERNAL": OTHER,
    "UNAUTHENTICATED": OTHER,
    "BAD_REQUEST": OTHER,
    1011: OTHER,
    4401: OTHER,
    4403: OTHER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """`cuts`: how often it leaves by itself, without a word. `older`: how often it resumes before what it has seen.

    `silence`: seconds after which it tries elsewhere; None: it waits.
    """

    choose: Callable[[], Process]
    transport: Callable[[], Transport] = lambda: "ws"
    cuts: int = 0
    older: float = 0.3
    silence: float | None = None
    pause: float = 0.2


@dataclass(slots=True)
class Watcher:
    """`arrived`: when it first saw each seq, by the wall clock, from `seen[0]` on.

    `left`, `silences`: how often it went by itself: as is its habit, and because nothing came for longer than it waits.
    """

    front_end: FrontEnd
    promise: Promise
    habits: Habits
    violate: Callable[[Violation], None]
    seen: list[Event] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    text: str = ""
    connections: int = 0
    left: int = 0
    silences: int = 0
    spoken: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.text = self.promise.kept

    @property
    def ended(self) -> bool:
        return bool(self.seen) and self.seen[-1].kind == "GenerationFinished"

    async def follow(self) -> None:
        while not self.ended:
            try:
                await self._connect()
            except Cut as cut:
                self._check_cut(cut)
            await asyncio.sleep(random.uniform(0, self.habits.pause))

    async def _connect(self) -> None:
        """Raises Cut."""
        after = self._resume_at()
        leave_after = random.randint(1, 12) if self.left < self.habits.cuts else None
        events = self._stream(after)
        self.connections += 1
        async with aclosing(events):
            while (event := await self._next(events)) is not None:
                self._take(event, after + 1)
                after = event.seq
                leave_after = leave_after and leave_after - 1
                if leave_after == 0:
                    self.left += 1
                    return
        if not self.ended:
            self._complain(ENDS, "an end before the stream completes", f"none, after seq {len(self.seen)}")

    async def _next(self, events: AsyncGenerator[Event, None]) -> Event | None:
        """Raises Cut, also after the silence."""
        try:
            async with asyncio.timeout(self.habits.silence) as patience:
                return await anext(events, None)
        except TimeoutError as error:
            if not patience.expired():
                raise
            self.silences += 1
            raise Cut from error

    def _stream(self, after: int) -> AsyncGenerator[Event, None]:
        process, promise = self.habits.choose(), self.promise
        return self.front_end.follow(
            process.origin,
            promise.key,
            promise.generation,
            after,
            transport=self.habits.transport(),
            hard=random.random() < 0.5,
        )

    def _resume_at(self) -> int:
        last = len(self.seen)
        return random.randint(0, last) if random.random() < self.habits.older else last

    def _take(self, event: Event, expected: int) -> None:
        if event.seq != expected:
            what = GAP if event.seq > expected else DUPLICATE
            self._complain(what, f"seq {expected}", f"seq {event.seq}, {event.kind}")
            return
        if violation := self.promise.show(event):
            self.violate(violation)
        if event.seq > len(self.seen):
            self._extend(event)

    def _extend(self, event: Event) -> None:
        if self.ended:
            self._complain(ENDS, "nothing after the end", f"seq {event.seq}, {event.kind}")
        if event.kind == "TextDelta" and event.offset != units(self.text):
            self._complain(OFFSET, f"offset {units(self.text)} at seq {event.seq}", f"offset {event.offset}")
        self.text = text_after(self.text, event)
        self.seen.append(event)
        self.arrived.append(time.time())
        if event.kind == "TextDelta":
            self.spoken.set()

    def _check_cut(self, cut: Cut) -> None:
        if cut.code in NEVER:
            self._complain(NEVER[cut.code], "a stream that goes on", f"{cut.code} after seq {len(self.seen)}")

    def _complain(self, what: str, expected: str, found: str) -> None:
        self.violate(Violation(what, expected, found, self.promise.generation))
