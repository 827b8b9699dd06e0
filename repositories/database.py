"""The open database: one pool for Tortoise and for hand-written SQL, and the errors that the domain knows."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
from asyncpg.connection import LoggedQuery
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.context import TortoiseContext, get_current_context
from tortoise.exceptions import DBConnectionError, OperationalError

from domain.errors import Unavailable, Unstorable

QueryLogger = Callable[[LoggedQuery], None]

LONGEST_WAIT_FOR_A_CONNECTION = timedelta(seconds=5)
LONGEST_STATEMENT = timedelta(seconds=30)
PATIENCE = timedelta(seconds=5)

_GONE = (
    OSError,
    TimeoutError,
    DBConnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


class Database:
    """`patience`: how long a transaction waits for a lock."""

    def __init__(self, client: AsyncpgDBClient, pool: asyncpg.Pool, patience: timedelta) -> None:
        self._client, self._pool, self.patience = client, pool, patience

    async def fetch(self, sql: str, *values: object) -> list[asyncpg.Record]:
        async with self.connection() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(sql, *values)
            return rows

    async def fetchrow(self, sql: str, *values: object) -> asyncpg.Record | None:
        async with self.connection() as connection:
            return await connection.fetchrow(sql, *values)

    async def execute(self, sql: str, *values: object) -> int:
        """How many rows it touched."""
        async with self.connection() as connection:
            status: str = await connection.execute(sql, *values)
            return int(status.rsplit(" ", 1)[-1])

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Each statement commits by itself. Raises Unavailable, Unstorable."""
        with errors_of_the_domain():
            async with self._pool.acquire(timeout=LONGEST_WAIT_FOR_A_CONNECTION.total_seconds()) as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """Commits at its end; waits for a lock no longer than `patience`. Raises Unavailable, Unstorable."""
        async with self.connection() as connection:
            # One round trip for both, which asyncpg's own transaction() would make two.
            await connection.execute(f"BEGIN; SET LOCAL lock_timeout = {_ms(self.patience)}")
            try:
                yield connection
            except BaseException:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")
                raise
            await connection.execute("COMMIT")

    @asynccontextmanager
    async def rows(self) -> AsyncIterator[AsyncpgDBClient]:
        """The same pool for Tortoise, to be named in `using_db`. Raises Unavailable, Unstorable."""
        with errors_of_the_domain():
            yield self._client


@asynccontextmanager
async def open_database(
    url: str, pool_size: int, query_logger: QueryLogger | None = None, *, patience: timedelta = PATIENCE
) -> AsyncIterator[Database]:
    """`?statement_cache_size=0` in the URL is for a transaction pooler. Raises Unavailable."""
    alone = get_current_context() is None
    with TortoiseContext() as context:
        # Request tasks do not inherit the lifespan's context: without the fallback Tortoise finds no database there.
        await context.init(config=tortoise_config(url, pool_size, query_logger), _enable_global_fallback=alone)
    try:
        client = context.db()
        assert isinstance(client, AsyncpgDBClient)
        with errors_of_the_domain():
            async with client.acquire_connection() as connection:
                await connection.execute("SELECT 1")
        assert client._pool is not None
        yield Database(client, client._pool, patience)
    finally:
        await context.close_connections()


def tortoise_config(url: str, pool_size: int = 1, query_logger: QueryLogger | None = None) -> dict[str, Any]:
    credentials = _pool_options(url, pool_size, query_logger)
    return {
        "connections": {"default": {"engine": "repositories.engine", "credentials": credentials}},
        "apps": {
            "gus": {
                "models": ["repositories.tables"],
                "default_connection": "default",
                "migrations": "repositories.migrations",
            }
        },
    }


def _pool_options(url: str, pool_size: int, query_logger: QueryLogger | None) -> dict[str, Any]:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    cache = int(query.pop("statement_cache_size", 256))
    return {
        "url": urlunsplit(parts._replace(query=urlencode(query))),
        "minsize": min(2, pool_size),
        "maxsize": pool_size,
        "timeout": 10,
        "command_timeout": LONGEST_STATEMENT.total_seconds(),
        "statement_cache_size": cache,
        "server_settings": _session(pooled=cache == 0),
        "init": _logging_to(query_logger) if query_logger else None,
        "reset": _nothing_to_reset,
    }


def _session(*, pooled: bool) -> dict[str, str]:
    """What a pooler refuses at the start of a session: there the server's own settings hold.

    JIT and a plan for each value cost more than they give in statements of a millisecond: every plan is a walk along
    the same indexes whatever the values, which the tests assert.
    """
    if pooled:
        return {}
    return {
        "application_name": "gus",
        "timezone": "UTC",
        "jit": "off",
        "plan_cache_mode": "force_generic_plan",
        "statement_timeout": str(_ms(LONGEST_STATEMENT)),
        "idle_in_transaction_session_timeout": str(_ms(LONGEST_STATEMENT)),
    }


def _logging_to(query_logger: QueryLogger) -> Callable[[asyncpg.Connection], Any]:
    async def init(connection: asyncpg.Connection) -> None:
        connection.add_query_logger(query_logger)

    return init


async def _nothing_to_reset(connection: asyncpg.Connection) -> None:
    """Sessions are never changed but by SET LOCAL: asyncpg's own reset would cost each operation a round trip."""


@contextmanager
def errors_of_the_domain() -> Iterator[None]:
    try:
        yield
    except _GONE as error:
        raise Unavailable("The database does not answer now: try again.") from error
    except asyncpg.InterfaceError as error:
        if "clos" not in str(error):  # "connection is closed", "pool is closing"; all else is a bug of ours
            raise
        raise Unavailable("The database does not answer now: try again.") from error
    except (asyncpg.DataError, OperationalError) as error:
        if isinstance(error, OperationalError) and not isinstance(error.__cause__, asyncpg.DataError):
            raise
        # The driver's words hold the value.
        raise Unstorable("A value does not fit its column.") from None


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
