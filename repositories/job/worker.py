"""Does jobs on pgqueuer: its claims, heartbeats and retries, by every process."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job as JobRow
from pgqueuer.domain.models import utc_now

from domain.errors import ModelFailure, Unavailable
from domain.generation.wakes import Wakes
from domain.job import JOBS, Job, JobHandler, JobKind, JobPolicy, NotNow
from repositories.database import Database
from repositories.job.driver import CHANNEL, Names, PooledDriver
from repositories.job.rows import to_job

logger = logging.getLogger("gus.jobs")

AT_ONCE = 2
# While there is more to do than is done at once, or somebody else was quicker.
BETWEEN_CLAIMS = timedelta(seconds=1)
# Our own last claim, which may be under way, must not find it again.
PUT_BACK_FOR = timedelta(seconds=1)
BETWEEN_PURGES = timedelta(minutes=10)
PURGED_AT_ONCE = 1000

_FORGET = """
DELETE FROM pgqueuer_log WHERE id = ANY(ARRAY(
  SELECT id FROM pgqueuer_log WHERE created < now() - $1::interval ORDER BY created LIMIT $2
))
"""


class GivenUp(Exception):
    """The job is dropped."""


@dataclass(frozen=True, slots=True)
class Pace:
    """`look`: how often for jobs that nobody here was woken for. `silence`: so long without a sign of life of whoever
    does a job, and another process does it. `kept`: how long it is known which jobs were done."""

    look: timedelta = timedelta(seconds=5)
    silence: timedelta = timedelta(seconds=30)
    kept: timedelta = timedelta(days=1)


class JobWorker:
    """One per process."""

    def __init__(
        self,
        database: Database,
        wakes: Wakes,
        handlers: Mapping[JobKind, JobHandler],
        policy: JobPolicy | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._database, self._wakes = database, wakes
        self._policy, self._pace = policy or JobPolicy(), pace or Pace()
        self._driver = PooledDriver(database)
        self._manager = _manager(self._driver)
        self._doing: set[asyncio.Task[None]] = set()
        for kind, handler in handlers.items():
            self._manager.entrypoint(kind.value, accepts_context=False)(partial(self._do, kind, handler))

    async def run(self) -> None:
        """For ever. Cancelled, it puts what it is doing back for others."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pass_wakes_on())
            tasks.create_task(self._purge())
            tasks.create_task(self._manage())

    async def _manage(self) -> None:
        managing = asyncio.ensure_future(
            self._manager.run(
                dequeue_timeout=self._pace.look,
                batch_size=1,
                max_concurrent_tasks=AT_ONCE,
                heartbeat_timeout=self._pace.silence,
                log_aggregation_interval=timedelta(0),
            )
        )
        try:
            await asyncio.shield(managing)
        except asyncio.CancelledError:
            self._leave()
            with suppress(Unavailable):
                await managing
            raise

    def _leave(self) -> None:
        self._driver.leaving = True
        self._manager.shutdown.set()
        for task in self._doing:
            task.cancel()

    async def _do(self, kind: JobKind, handler: JobHandler, row: JobRow) -> None:
        if self._driver.leaving:
            raise RetryRequested(PUT_BACK_FOR)
        doing = asyncio.ensure_future(_done(handler, to_job(kind, row)))
        self._doing.add(doing)
        try:
            await doing
        except asyncio.CancelledError:
            if not self._driver.leaving:
                raise
            # pgqueuer takes a cancelled job for one that nobody wants any more.
            raise RetryRequested(PUT_BACK_FOR) from None
        except ModelFailure as failure:
            if not failure.retryable:
                raise GivenUp(failure.code.value) from None
            self._put_off(row)
        except (NotNow, Unavailable, TimeoutError):
            self._put_off(row)
        except Exception:  # the outermost owner of this task: one job must not take the others with it
            logger.exception("a job failed")
            self._put_off(row)
        finally:
            self._doing.discard(doing)

    def _put_off(self, row: JobRow) -> None:
        """Raises RetryRequested, GivenUp. pgqueuer stores what it is raised from, whose words may be a user's."""
        pause = self._policy.pause(row.attempts + 1, utc_now() - row.created)
        if pause is None:
            raise GivenUp(f"after {row.attempts + 1} tries") from None
        raise RetryRequested(pause) from None

    async def _pass_wakes_on(self) -> None:
        with self._wakes.watching(JOBS) as woken:
            while True:
                await woken.wait()
                woken.clear()
                self._driver.wake()

    async def _purge(self) -> None:
        while True:
            with suppress(Unavailable):
                while await self._database.execute(_FORGET, self._pace.kept, PURGED_AT_ONCE) == PURGED_AT_ONCE:
                    continue
            await asyncio.sleep(BETWEEN_PURGES.total_seconds())


def _manager(driver: PooledDriver) -> QueueManager:
    names = Names()
    queries = Queries(driver, QueryBuilderEnvironment(names), QueryQueueBuilder(names), QuerySchedulerBuilder(names))
    manager = QueueManager(queries, CHANNEL)
    manager.min_dequeue_poll_interval = BETWEEN_CLAIMS
    return manager


async def _done(handler: JobHandler, job: Job) -> None:
    await handler(job)
