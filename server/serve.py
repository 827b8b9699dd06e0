"""`gus serve`: the parts around the app, opened one by one and closed in reverse order, whatever ends it."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import uvloop

from domain.errors import Unavailable
from domain.world import RealWorld
from server.console import say, step
from server.listening import bound, reserved
from server.models_file import Catalogue, read_catalogue
from server.node import Worker, kept_host
from server.postgres import embedded_postgres, running_postgres
from server.process import serve_app
from server.settings import CannotStart, Settings
from server.stopping import Stopping, until_signalled
from server.supervisor import supervise
from server.worker import Assignment


def run(settings: Settings) -> None:
    """Returns after a clean end, asked for by a signal. Raises CannotStart."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_signalled(lambda stopping: _serve(settings, stopping), say))


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


async def _serve(settings: Settings, stopping: Stopping) -> None:
    if settings.trusted_documents is not None:
        _check_documents(settings)
    async with AsyncExitStack() as stack:
        node_host = _node_host(settings, stack)
        # First, because it is quick, and the others take seconds for nothing when the port is taken.
        listener = stack.enter_context((bound if settings.workers == 1 else reserved)(settings.host, settings.port))
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        database_url = await _database(settings, stack)
        await _migrated(settings, database_url)
        catalogue = await _catalogue(settings, stack)
        workers = [Worker(node_host, number) for number in range(settings.workers)]
        if len(workers) == 1:
            await serve_app(
                settings,
                database_url,
                catalogue,
                workers[0],
                listener=listener,
                stopping=stopping,
                on_ready=lambda: _announce(settings),
            )
        else:
            assignments = [Assignment(settings, database_url, catalogue, worker) for worker in workers]
            await supervise(assignments, grace=settings.grace, stopping=stopping, on_ready=lambda: _announce(settings))


def _check_documents(settings: Settings) -> None:
    from server.trusted import check_trusted_documents

    check_trusted_documents(settings)


def _node_host(settings: Settings, stack: AsyncExitStack) -> UUID:
    """In development the same at each start, which takes the lock of the data directory."""
    if settings.production:
        return RealWorld().new_id()
    stack.enter_context(locked(settings.data_dir))
    return kept_host(settings.data_dir, RealWorld())


async def _database(settings: Settings, stack: AsyncExitStack) -> str:
    if settings.database_url is not None:
        say(f"Database: {without_password(settings.database_url)}")
        return settings.database_url
    async with step("PostgreSQL (embedded)"):
        url = await stack.enter_async_context(embedded_postgres(settings.data_dir, say=say))
    say(f"Database: embedded PostgreSQL in {settings.data_dir}")
    return url


async def _migrated(settings: Settings, database_url: str) -> None:
    from repositories.migrate import migrate, pending

    if not settings.production:
        async with step("Migrations"):
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
        async with step("Model (embedded)"):
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


def _announce(settings: Settings) -> None:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    say(f"{'GraphiQL' if settings.shows_graphiql else 'GraphQL'}: http://{host}:{settings.port}/graphql")
    if settings.dev_key is not None:
        say(f"Key: {settings.dev_key}")
    if settings.workers > 1:
        say(f"Workers: {settings.workers}")
    say("Ready. Stop with Ctrl-C.")


def without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"
