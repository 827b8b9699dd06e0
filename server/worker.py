"""One of several processes behind `gus serve --workers N`: what it is told at its start, and how it lives and ends."""

import asyncio
import os
import pickle
import sys
from dataclasses import dataclass, field

import structlog
import uvloop

from server.listening import joined
from server.models_file import Catalogue
from server.node import Worker
from server.process import serve_app
from server.settings import Settings
from server.stopping import Stopping, until_signalled
from server.telemetry import configure_logging

READY = b"ready\n"


@dataclass(frozen=True, slots=True)
class Assignment:
    """Comes pickled on standard input, from the supervisor: every user of the machine can read a command line."""

    settings: Settings
    database_url: str = field(repr=False)
    catalogue: Catalogue
    worker: Worker


def run_worker() -> None:
    """Says that it is ready on standard output. Raises CannotStart."""
    try:
        assignment = pickle.load(sys.stdin.buffer)
    except EOFError:
        return
    assert isinstance(assignment, Assignment)
    settings = assignment.settings
    configure_logging(production=settings.production, level=settings.log_level)
    structlog.contextvars.bind_contextvars(node=assignment.worker.number)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(assignment))


async def _work(assignment: Assignment) -> None:
    # The supervisor holds the other end and never writes again: it can be read when the supervisor is gone, however it
    # went. The next one may already be starting, as the same nodes on the same port.
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), os._exit, 1)

    async def serve(stopping: Stopping) -> None:
        settings = assignment.settings
        with joined(settings.host, settings.port) as listener:
            await serve_app(
                settings,
                assignment.database_url,
                assignment.catalogue,
                assignment.worker,
                listener=listener,
                stopping=stopping,
                on_ready=_tell_ready,
            )

    await until_signalled(serve, say=lambda _: None)


def _tell_ready() -> None:
    output = sys.stdout.fileno()
    os.write(output, READY)
    # Nobody reads it any more.
    os.dup2(sys.stderr.fileno(), output)
