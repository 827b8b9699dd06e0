"""How Tortoise opens its pool of asyncpg connections."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
from asyncpg.connection import LoggedQuery

PATIENCE = timedelta(seconds=5)
QueryLogger = Callable[[LoggedQuery], None]

LONGEST_STATEMENT = timedelta(seconds=30)
# In a transaction we do nothing but ask the next thing: who is silent for longer is frozen, and holds locks.
LONGEST_SILENCE = timedelta(seconds=5)

# asyncpg looks each array type up when a connection first meets it: at once, and not in the middle of a send.
_ARRAYS = "SELECT $1::uuid[], $2::int[], $3::smallint[], $4::timestamptz[], $5::jsonb[]"


def tortoise_config(
    url: str,
    pool_size: int = 1,
    query_logger: QueryLogger | None = None,
    *,
    longest: timedelta | None = LONGEST_STATEMENT,
    patience: timedelta = PATIENCE,
) -> dict[str, Any]:
    """`?statement_cache_size=0` in the URL is for a transaction pooler.

    No statement takes longer than `longest`, or waits longer than `patience` for a lock; None: whatever it takes.
    """
    credentials = _pool_options(url, pool_size, query_logger, longest, patience)
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


def behind_a_pooler(url: str) -> bool:
    return parted(url)[1] == 0


def parted(url: str) -> tuple[str, int]:
    """The URL as libpq knows it, and how many prepared statements a connection may keep."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    cache = int(query.pop("statement_cache_size", 256))
    return urlunsplit(parts._replace(query=urlencode(query))), cache


def _pool_options(
    url: str, pool_size: int, query_logger: QueryLogger | None, longest: timedelta | None, patience: timedelta
) -> dict[str, Any]:
    server, cache = parted(url)
    return {
        "url": server,
        "minsize": min(2, pool_size),
        "maxsize": pool_size,
        "timeout": 10,
        "command_timeout": None if longest is None else longest.total_seconds(),
        "statement_cache_size": cache,
        "server_settings": {} if cache == 0 else _session(longest, patience),
        "init": _init(query_logger),
        "reset": _nothing_to_reset,
    }


def guards(patience: timedelta) -> dict[str, int]:
    """What keeps the lock of one from stopping the others, in milliseconds."""
    return {
        "lock_timeout": milliseconds(patience),
        "idle_in_transaction_session_timeout": milliseconds(LONGEST_SILENCE),
    }


def _session(longest: timedelta | None, patience: timedelta) -> dict[str, str]:
    """What a pooler refuses at the start of a session: there the server's own settings hold, and each transaction sets its guards.

    JIT and a plan for each value cost more than they give in statements of a millisecond: every plan is a walk along
    the same indexes whatever the values, which the tests assert.
    """
    settings = {"application_name": "gus", "timezone": "UTC", "jit": "off", "plan_cache_mode": "force_generic_plan"}
    if longest is None:
        return settings
    limits = {"statement_timeout": milliseconds(longest), **guards(patience)}
    return settings | {name: str(limit) for name, limit in limits.items()}


def _init(query_logger: QueryLogger | None) -> Callable[[asyncpg.Connection], Awaitable[None]]:
    async def init(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await connection.fetchrow(_ARRAYS, *[[]] * _ARRAYS.count("$"))
        if query_logger:
            connection.add_query_logger(query_logger)

    return init


async def _nothing_to_reset(connection: asyncpg.Connection) -> None:
    """Sessions are never changed but by SET LOCAL: asyncpg's own reset would cost each operation a round trip."""


def milliseconds(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
