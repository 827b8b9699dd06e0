"""The workers of `gus serve --workers N`: started, replaced when they die, and told to stop."""

import asyncio
import os
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta

from server.console import say
from server.process import AFTER_GRACE
from server.settings import CannotStart
from server.stopping import Stopping
from server.worker import READY, Assignment

START_LIMIT = timedelta(seconds=60)
FIRST_BACKOFF = timedelta(milliseconds=200)
LONGEST_BACKOFF = timedelta(seconds=10)
# A worker that lived so long did not die of its start.
STEADY_AFTER = timedelta(seconds=30)
# Workers end themselves; this is for one that cannot.
PATIENCE = timedelta(seconds=2)


async def supervise(
    assignments: Iterable[Assignment], *, grace: timedelta, stopping: Stopping, on_ready: Callable[[], None]
) -> None:
    """Returns when all have ended, after a signal. Raises CannotStart when one of them does not start at first."""
    places = [_Place(assignment) for assignment in assignments]
    limit = grace + AFTER_GRACE + PATIENCE
    try:
        await _fill(places)
        on_ready()
        with stopping.cleanly(limit + PATIENCE):
            await _keep_until_asked(places, stopping)
            await asyncio.gather(*(place.end(limit) for place in places))
    finally:
        # Of one that has been told already this is the second signal, which ends it at once.
        await asyncio.gather(*(place.end(PATIENCE) for place in places))


async def _fill(places: list["_Place"]) -> None:
    try:
        async with asyncio.TaskGroup() as tasks:
            for place in places:
                tasks.create_task(place.fill())
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


async def _keep_until_asked(places: list["_Place"], stopping: Stopping) -> None:
    async with asyncio.TaskGroup() as tasks:
        keeping = [tasks.create_task(place.keep()) for place in places]
        await stopping.asked.wait()
        for task in keeping:
            task.cancel()


class _Place:
    """One number, and the process that has it: its successor takes over the number, and with it the runs."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._name = f"Worker {assignment.worker.number}"
        self._process: Process | None = None

    async def fill(self) -> None:
        """Raises CannotStart."""
        self._process = process = await _spawned()
        try:
            async with asyncio.timeout(START_LIMIT.total_seconds()):
                await _tell(process, self._assignment)
                assert process.stdout is not None
                ready = await process.stdout.readline() == READY
        except (TimeoutError, ConnectionError):
            ready = False
        if not ready:
            await self.end(PATIENCE)
            raise CannotStart(f"{self._name} could not start: the log above says why.")

    async def keep(self) -> None:
        clock = asyncio.get_running_loop().time
        backoff = FIRST_BACKOFF
        while True:
            assert self._process is not None
            began = clock()
            code = await self._process.wait()
            if clock() - began > STEADY_AFTER.total_seconds():
                backoff = FIRST_BACKOFF
            say(f"{self._name} has ended ({_how(code)}); starting it again")
            await asyncio.sleep(backoff.total_seconds())
            backoff = min(2 * backoff, LONGEST_BACKOFF)
            with suppress(CannotStart):
                await self.fill()

    async def end(self, limit: timedelta) -> None:
        """By a signal, and by force when it is still there after `limit`."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await process.wait()
        except TimeoutError:
            say(f"{self._name} does not end; it is killed")
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _spawned() -> Process:
    # It finds its modules where we found ours: the folder that gus was started in may have a `server` of its own.
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    # A session of its own: Ctrl-C is for the supervisor, which then tells its workers.
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "server", "worker"),
        stdin=PIPE,
        stdout=PIPE,
        env=environ,
        start_new_session=True,
    )


async def _tell(process: Process, assignment: Assignment) -> None:
    assert process.stdin is not None
    process.stdin.write(pickle.dumps(assignment))
    await process.stdin.drain()


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"code {code}"
