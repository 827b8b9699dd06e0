"""Wake-ups between processes: NOTIFY on a connection of its own, LISTEN on another.

NOTIFY takes a lock over the whole database from its statement to the end of the flush, so it never stands in a transaction
that matters: it follows the commit, on a connection that waits for no flush, coalesced while the one before is under way.
A process that has nobody to tell does not: of a process's time under load it takes a twentieth.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from uuid import UUID

import asyncpg
import structlog

from repositories.pool import parted

CHANNEL = "gus"
NOTIFY = "SELECT pg_notify($1, $2)"
# 217 ids overflow a payload's 8,000 bytes, and an overflow aborts.
MOST_IDS = 100
# Beyond it wake-ups are dropped, which delays by a poll: a database that is away must not fill the memory.
MOST_WAITING = 10_000
RECONNECT_SECONDS = 1.0
# What is told meanwhile goes together: a reader in another process waits so much longer at most.
SPACING_SECONDS = 0.005
# How often each listener says that it is there, by an empty notice.
HELLO = timedelta(seconds=5)
HELLOS_LOST_AT_MOST = 3
# The last is what a connection says that was cut between two statements.
_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

log = structlog.get_logger(__name__)


Hear = Callable[[Iterable[UUID]], None]


class Company:
    """Whether anybody may be listening. Each says hello as soon as it listens, so a new one is known before it needs to be.

    Silence means that nobody is there only to one whose own hellos come back: LISTEN does not work through every pooler.
    """

    def __init__(self) -> None:
        self._kept_seconds = HELLO.total_seconds() * HELLOS_LOST_AT_MOST
        self._heard_myself_at = self._heard_others_at = float("-inf")

    def heard(self, now: float, *, myself: bool) -> None:
        if myself:
            self._heard_myself_at = now
        else:
            self._heard_others_at = now

    def listening(self, now: float) -> None:
        """From now on: others may have said hello before."""
        self._heard_others_at = now

    def is_there(self, now: float) -> bool:
        hears = now - self._heard_myself_at < self._kept_seconds
        return not hears or now - self._heard_others_at < self._kept_seconds


class Notices:
    """One per process. `tell` never waits; `hear` is called with what other processes told."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._me = secrets.token_hex(4)
        self._waiting: dict[UUID, None] = {}
        self._told = asyncio.Event()
        self._company = Company()

    def tell(self, ids: Iterable[UUID]) -> None:
        if len(self._waiting) < MOST_WAITING and self._company.is_there(time.monotonic()):
            self._waiting.update(dict.fromkeys(ids))
            self._told.set()

    async def run(self, hear: Hear) -> None:
        """For ever, through outages: meanwhile, and after a notice that was lost, followers poll."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._for_ever(self._send))
            tasks.create_task(self._for_ever(lambda connection: self._listen(connection, hear)))

    async def _for_ever(self, work: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
        while True:
            try:
                async with _connected(self._url) as connection:
                    await work(connection)
            except _LOST as error:
                log.warning("wake-ups between processes are interrupted", error_type=type(error).__name__)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _send(self, connection: asyncpg.Connection) -> None:
        connection.add_termination_listener(lambda _: self._told.set())
        while True:
            await self._told.wait()
            if connection.is_closed():
                return  # the next connection sends what waits
            self._told.clear()
            ids, self._waiting = list(self._waiting), {}
            for start in range(0, len(ids), MOST_IDS):
                await connection.execute(NOTIFY, CHANNEL, self._payload(ids[start : start + MOST_IDS]))
            await asyncio.sleep(SPACING_SECONDS)

    async def _listen(self, connection: asyncpg.Connection, hear: Hear) -> None:
        def heard(_: object, __: int, ___: str, payload: str) -> None:
            teller, *ids = payload.split()
            self._company.heard(time.monotonic(), myself=teller == self._me)
            if teller != self._me and ids:
                hear([UUID(each) for each in ids])

        cut = asyncio.Event()
        connection.add_termination_listener(lambda _: cut.set())
        await connection.add_listener(CHANNEL, heard)
        self._company.listening(time.monotonic())
        while not cut.is_set():
            # A connection that died without a word is only noticed by using it.
            await connection.execute(NOTIFY, CHANNEL, self._payload([]), timeout=HELLO.total_seconds())
            with suppress(TimeoutError):
                async with asyncio.timeout(HELLO.total_seconds()):
                    await cut.wait()

    def _payload(self, ids: list[UUID]) -> str:
        return " ".join([self._me, *(each.hex for each in ids)])


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    server, cache = parted(url)
    # A pooler refuses settings at the start of a session.
    settings = {} if cache == 0 else {"application_name": "gus wake-ups", "synchronous_commit": "off"}
    connection = await asyncpg.connect(
        server, server_settings=settings, statement_cache_size=cache, timeout=10, command_timeout=10
    )
    try:
        yield connection
    finally:
        connection.terminate()
