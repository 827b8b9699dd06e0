"""One process that serves the app, from its first request to its clean end."""

import asyncio
import gc
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import uvicorn

from server.models_file import Catalogue
from server.node import Worker
from server.protocols import HttpProtocol
from server.settings import CannotStart, Settings
from server.stopping import Stopping

if TYPE_CHECKING:
    from server.app import Running

MOST_FRAME_BYTES = 1024 * 1024
# For requests that are being answered when the last socket has closed.
LAST_ANSWERS_SECONDS = 3
# After the grace: the last runs are ended, their followers told, sockets and parts closed.
AFTER_GRACE = timedelta(seconds=8)


async def serve_app(
    settings: Settings,
    database_url: str,
    catalogue: Catalogue,
    worker: Worker,
    *,
    listener: socket.socket,
    stopping: Stopping,
    on_ready: Callable[[], None],
) -> None:
    """Returns after a clean end. Raises CannotStart."""
    from server.app import Running, create_app

    running = Running()
    app = create_app(settings, database_url=database_url, catalogue=catalogue, worker=worker, running=running)
    config = uvicorn.Config(
        app,
        http=HttpProtocol,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=MOST_FRAME_BYTES,
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        # Whose X-Forwarded-For is believed is ours to say: GUS_TRUSTED_PROXIES.
        proxy_headers=False,
        limit_concurrency=settings.max_connections,
        timeout_graceful_shutdown=LAST_ANSWERS_SECONDS,
    )
    server = _HttpServer(config, on_ready)
    try:
        with stopping.cleanly(settings.grace + AFTER_GRACE):
            async with asyncio.TaskGroup() as tasks:
                ending = tasks.create_task(_end_when_asked(stopping, running, server))
                await server.serve([listener])
                ending.cancel()
    # uvicorn's way to say that the app's lifespan failed, after it has logged why.
    except SystemExit as error:
        raise CannotStart("gus could not start: the log above says why.") from error


async def _end_when_asked(stopping: Stopping, running: "Running", server: "_HttpServer") -> None:
    """uvicorn closes sockets first and asks questions later: it is told only when nobody follows a run any more."""
    await stopping.asked.wait()
    await running.drain()
    server.should_exit = True


class _HttpServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What was made until now lives as long as the process. A full collection need not look at it, and does not stop
        # every stream for the tenth of a second that its 120,000 objects take.
        gc.collect()
        gc.freeze()
        self._on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own raises the signal again after its end, and would kill us before the other parts are closed.
        yield
