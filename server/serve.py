"""`gus serve`: one process around the app, opened part by part and closed in reverse order, whatever ends it."""

import asyncio
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
import uvloop

from domain.errors import Unavailable
from server.models_file import Catalogue, read_catalogue
from server.postgres import embedded_postgres, running_postgres
from server.settings import CannotStart, Settings

MOST_FRAME_BYTES = 1024 * 1024
STILL_WORKING_SECONDS = 10
LONGEST_BACKLOG = 2048


def run(settings: Settings) -> None:
    """Returns after a clean end, asked for by a signal. Raises CannotStart."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Held as long as the process lives, however it ends. Raises CannotStart when another process holds it."""
    with open(data_dir / "lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise CannotStart(
                f"Another gus (process {file.read().strip() or 'unknown'}) uses the data directory {data_dir}: "
                "stop it, or set GUS_DATA_DIR to another folder."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@asynccontextmanager
async def opened_database(settings: Settings) -> AsyncIterator[str]:
    """For a command: the database of the settings, of a gus that is running, or started for the moment."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    with ExitStack() as stack:
        url = _taken_or_locked(settings.data_dir, stack)
        if url is not None:
            yield url
            return
        async with embedded_postgres(settings.data_dir) as url:
            yield url


def _taken_or_locked(data_dir: Path, stack: ExitStack) -> str | None:
    """The running database, or None and the lock. Raises CannotStart while another gus is just starting or stopping."""
    try:
        stack.enter_context(locked(data_dir))
    except CannotStart:
        url = running_postgres(data_dir)
        if url is None:
            raise
        return url
    return None


@contextmanager
def reachable(database_url: str) -> Iterator[None]:
    """Raises CannotStart where a repository says Unavailable."""
    try:
        yield
    except Unavailable as error:
        cause = f" ({type(error.__cause__).__name__})" if error.__cause__ else ""
        raise CannotStart(
            f"The database {without_password(database_url)} does not answer{cause}: start it, or correct GUS_DATABASE_URL."
        ) from error


async def _serve(settings: Settings) -> None:
    stopping = _Stopping()
    stopping.listen()
    try:
        async with AsyncExitStack() as stack:
            if not settings.production:
                stack.enter_context(locked(settings.data_dir))
            # First, because it is quick, and the others take seconds for nothing when the port is taken.
            listener = stack.enter_context(bound(settings.host, settings.port))
            database_url = await _database(settings, stack)
            await _migrated(settings, database_url)
            catalogue = await _catalogue(settings, stack)
            await _serve_app(settings, database_url, catalogue, listener, stopping)
    except asyncio.CancelledError:
        if not stopping.asked:
            raise


async def _database(settings: Settings, stack: AsyncExitStack) -> str:
    if settings.database_url is not None:
        say(f"Database: {without_password(settings.database_url)}")
        return settings.database_url
    async with _step("PostgreSQL (embedded)"):
        url = await stack.enter_async_context(embedded_postgres(settings.data_dir, say=say))
    say(f"Database: embedded PostgreSQL in {settings.data_dir}")
    return url


async def _migrated(settings: Settings, database_url: str) -> None:
    from repositories.migrate import migrate, pending

    if not settings.production:
        async with _step("Migrations"):
            with reachable(database_url):
                await migrate(database_url)
        return
    with reachable(database_url):
        missing = await pending(database_url)
    if missing:
        raise CannotStart(
            f"The database lacks {len(missing)} migration(s), {missing[0]} first: run `gus migrate`, then start again."
        )


async def _catalogue(settings: Settings, stack: AsyncExitStack) -> Catalogue:
    if settings.models is not None:
        catalogue = read_catalogue(settings.models)
    else:
        async with _step("Model (embedded)"):
            catalogue = await _embedded_catalogue(settings.data_dir, stack)
    say(f"Models: {', '.join(model.display_name for model in catalogue.models if not model.retired)}")
    return catalogue


async def _embedded_catalogue(data_dir: Path, stack: AsyncExitStack) -> Catalogue:
    from providers.llama import EmbeddedModel, EmbeddedModelFailed, embedded_entry

    try:
        model = await stack.enter_async_context(EmbeddedModel(log_file=data_dir / "model.log", on_progress=say))
    except EmbeddedModelFailed as failure:
        raise CannotStart(f"{failure} Or name your own models with GUS_MODELS.") from failure
    return Catalogue(models=(embedded_entry(),), servers=(model.server_config(),))


async def _serve_app(
    settings: Settings, database_url: str, catalogue: Catalogue, listener: socket.socket, stopping: "_Stopping"
) -> None:
    from server.app import create_app

    config = uvicorn.Config(
        create_app(settings, database_url=database_url, catalogue=catalogue),
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=MOST_FRAME_BYTES,
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        limit_concurrency=settings.max_connections,
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    server = _HttpServer(config, _announcement(settings, listener))
    stopping.server = server
    try:
        await server.serve([listener])
    # uvicorn's way to say that the app's lifespan failed, after it has logged why.
    except SystemExit as error:
        raise CannotStart("gus could not start: the log above says why.") from error


class _HttpServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, announcement: list[str]) -> None:
        super().__init__(config)
        self._announcement = announcement

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for line in self._announcement:
            say(line)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own raises the signal again after its end, and would kill us before the other parts are closed.
        yield


@dataclass(slots=True)
class _Stopping:
    """Turns the first signal into a clean end, and a second into an end without waiting for connections."""

    server: _HttpServer | None = None
    asked: bool = False

    def listen(self) -> None:
        loop, serving = asyncio.get_running_loop(), asyncio.current_task()
        assert serving is not None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # Under nohup a hang-up is to be ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._stop, serving)

    def _stop(self, serving: "asyncio.Task[None]") -> None:
        say("Stopping")
        if self.server is not None:
            self.server.force_exit = self.asked
            self.server.should_exit = True
        elif not self.asked:
            serving.cancel()
        self.asked = True


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """Takes the port at once; who connects is answered when the app is there. Raises CannotStart."""
    try:
        listener = _listener(host, port)
    except OSError as error:
        raise CannotStart(
            f"gus cannot listen on {host}:{port} ({error.strerror}): stop what uses it, or set GUS_PORT or GUS_HOST."
        ) from error
    with listener:
        yield listener


def _listener(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # `localhost` has two addresses, and the older one is what everybody tries.
    family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(LONGEST_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _announcement(settings: Settings, listener: socket.socket) -> list[str]:
    port = listener.getsockname()[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    lines = [f"{'GraphQL' if settings.production else 'GraphiQL'}: http://{host}:{port}/graphql"]
    if settings.dev_key is not None:
        lines.append(f"Key: {settings.dev_key}")
    return [*lines, "Ready. Stop with Ctrl-C."]


@asynccontextmanager
async def _step(name: str) -> AsyncIterator[None]:
    """Tells how long it took, and meanwhile that it still goes on."""
    began = time.monotonic()
    say(f"{name}: starting")
    telling = asyncio.create_task(_tell_of(name, began))
    try:
        yield
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling
    say(f"{name}: ready after {time.monotonic() - began:.1f} s")


async def _tell_of(name: str, began: float) -> None:
    while True:
        await asyncio.sleep(STILL_WORKING_SECONDS)
        say(f"{name}: still working, {time.monotonic() - began:.0f} s")


def without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"


def say(words: str) -> None:
    # A terminal that has gone away must not keep the parts from being closed.
    with suppress(OSError):
        print(words, file=sys.stdout, flush=True)
