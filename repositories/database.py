"""The open database: one pool for Tortoise and for hand-written SQL."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from datetime import timedelta

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.context import TortoiseContext, get_current_context

from repositories.errors import errors_of_the_domain
from repositories.pool import PATIENCE, QueryLogger, behind_a_pooler, guards, tortoise_config

__all__ = ["Database", "QueryLogger", "Session", "open_database"]

# So many connections are left to them.
URGENT = 2


class Session:
    """One connection of the pool. Every method raises Unavailable and Unstorable."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *values: object) -> list[asyncpg.Record]:
        with errors_of_the_domain():
            rows: list[asyncpg.Record] = await self._connection.fetch(sql, *values)
        return rows

    async def fetchrow(self, sql: str, *values: object) -> asyncpg.Record | None:
        with errors_of_the_domain():
            return await self._connection.fetchrow(sql, *values)

    async def execute(self, sql: str, *values: object) -> int:
        """How many rows it touched."""
        with errors_of_the_domain():
            status: str = await self._connection.execute(sql, *values)
        return int(status.rsplit(" ", 1)[-1])

    async def begin(self, guards: Mapping[str, int]) -> None:
        """One round trip for all, where asyncpg's own transaction() needs one for each."""
        with errors_of_the_domain():
            await self._connection.execute(
                "; ".join(["BEGIN", *(f"SET LOCAL {name} = {value}" for name, value in guards.items())])
            )

    async def commit(self) -> None:
        with errors_of_the_domain():
            await self._connection.execute("COMMIT")

    async def roll_back(self) -> None:
        """Whatever state the connection is in: one that cannot is closed, which does the same."""
        try:
            await self._connection.execute("ROLLBACK")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            with suppress(asyncpg.InterfaceError):  # it is gone already
                self._connection.terminate()


class Database:
    """`patience`: how long to wait for a connection, and for a lock.

    What keeps runs alive and what stops them never waits behind those who ask about them: the last connections are left
    to whoever is urgent.

    `pooled`: behind a transaction pooler. The driver prepares and executes a statement in two steps, which outside of a
    transaction may reach two sessions: so there every statement stands in one.
    """

    def __init__(self, client: AsyncpgDBClient, pool: asyncpg.Pool, patience: timedelta, *, pooled: bool) -> None:
        self._client, self._pool, self.patience, self._pooled = client, pool, patience, pooled
        self._places = asyncio.Semaphore(max(pool.get_max_size() - URGENT, 1))

    async def fetch(self, sql: str, *values: object) -> list[asyncpg.Record]:
        async with self.session() as session:
            return await session.fetch(sql, *values)

    async def fetchrow(self, sql: str, *values: object) -> asyncpg.Record | None:
        async with self.session() as session:
            return await session.fetchrow(sql, *values)

    async def execute(self, sql: str, *values: object) -> int:
        """How many rows it touched."""
        async with self.session() as session:
            return await session.execute(sql, *values)

    @asynccontextmanager
    async def session(self, *, urgent: bool = False) -> AsyncIterator[Session]:
        """Each statement commits by itself. Raises Unavailable."""
        async with self.transaction(urgent=urgent) if self._pooled else self._connected(urgent=urgent) as session:
            yield session

    @asynccontextmanager
    async def transaction(self, *, urgent: bool = False) -> AsyncIterator[Session]:
        """Commits at its end, rolls back when left by an exception. Raises Unavailable."""
        async with self._connected(urgent=urgent) as session:
            await session.begin(guards(self.patience) if self._pooled else {})
            try:
                yield session
            except BaseException:
                await session.roll_back()
                raise
            await session.commit()

    @asynccontextmanager
    async def rows(self) -> AsyncIterator[BaseDBAsyncClient]:
        """The same pool for Tortoise, to be named in `using_db`. Raises Unavailable, Unstorable."""
        async with self._place():
            with errors_of_the_domain():
                if not self._pooled:
                    yield self._client
                    return
                async with self._client._in_transaction() as client:
                    yield client

    @asynccontextmanager
    async def _connected(self, *, urgent: bool) -> AsyncIterator[Session]:
        async with nullcontext() if urgent else self._place():
            with errors_of_the_domain():
                # The pool's own timeout is a task for each, whether or not somebody has to wait.
                async with asyncio.timeout(self.patience.total_seconds()):
                    connection = await self._pool.acquire()
            try:
                yield Session(connection)
            finally:
                with errors_of_the_domain():
                    await self._pool.release(connection)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Among those who are not urgent. Raises Unavailable."""
        if self._places.locked():
            with errors_of_the_domain():
                async with asyncio.timeout(self.patience.total_seconds()):
                    await self._places.acquire()
        else:
            await self._places.acquire()
        try:
            yield
        finally:
            self._places.release()


@asynccontextmanager
async def open_database(
    url: str, pool_size: int, query_logger: QueryLogger | None = None, *, patience: timedelta = PATIENCE
) -> AsyncIterator[Database]:
    """Raises Unavailable when nothing answers."""
    alone, config = get_current_context() is None, tortoise_config(url, pool_size, query_logger, patience=patience)
    with TortoiseContext() as context:
        # Request tasks do not inherit the lifespan's context: without the fallback Tortoise finds no database there.
        await context.init(config=config, _enable_global_fallback=alone)
    try:
        client = context.db()
        assert isinstance(client, AsyncpgDBClient)
        with errors_of_the_domain():
            async with client.acquire_connection() as connection:
                await connection.execute("SELECT 1")
        assert client._pool is not None
        yield Database(client, client._pool, patience, pooled=behind_a_pooler(url))
    finally:
        await context.close_connections()
