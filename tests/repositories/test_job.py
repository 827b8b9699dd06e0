"""Jobs: caused in a transaction, done once by whichever process, put off, dropped, taken over."""

import asyncio
import logging
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from asyncpg.connection import LoggedQuery
from pgqueuer.adapters.persistence.queries import Queries

from domain.conversation.entity import TitleSource
from domain.generation.entity import Generation
from domain.generation.wakes import Wakes
from domain.job import JOBS, Job, JobKind, JobPolicy, NotNow
from repositories.database import Database
from repositories.generation.log import SqlTokenLog
from repositories.job.driver import Names, PooledDriver
from repositories.job.worker import JobWorker, Pace
from tests.repositories.racing import raced
from tests.repositories.story import Story, ending
from tests.waiting import PATIENCE_SECONDS, until

QUICK = JobPolicy(tries=3, first_pause=timedelta())
PACE = Pace(look=timedelta(milliseconds=100), silence=timedelta(seconds=2))


@dataclass(slots=True)
class Doing:
    """What a worker was told to do. `then` is what doing it is like."""

    then: Callable[[], Awaitable[None]] | None = None
    jobs: list[Job] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, job: Job) -> None:
        self.jobs.append(job)
        self.begun.set()
        if self.then is not None:
            await self.then()


@asynccontextmanager
async def working(database: Database, doing: Doing, wakes: Wakes | None = None) -> AsyncIterator[None]:
    worker = JobWorker(database, wakes or Wakes(), {JobKind.TITLE: doing}, QUICK, PACE)
    task = asyncio.ensure_future(worker.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        # One that has died by itself says what of.
        if not task.cancelled():
            task.result()


async def caused(story: Story, text: str = "A tree", *, titles: bool = True, **fields: object) -> Generation:
    """The first reply of a conversation has ended."""
    conversation = await story.conversation(**fields)
    run = await story.run(conversation.id)
    await end(story, run, text, titles=titles)
    return run


async def end(story: Story, run: Generation, text: str, *, titles: bool = True) -> bool:
    log = SqlTokenLog(story.database, titles=titles)
    ended = await log.finish(run, ending(text), None, previous=run.last_seq, cut_to=None)
    return ended.left_job


async def jobs(database: Database) -> list[tuple[str, str, int]]:
    rows = await database.fetch("SELECT entrypoint, status::text, attempts FROM pgqueuer ORDER BY id")
    return [(row["entrypoint"], row["status"], row["attempts"]) for row in rows]


async def no_jobs(database: Database) -> bool:
    return not await jobs(database)


async def all_done(database: Database) -> list[str]:
    """How those that were done ended."""
    await until("all jobs are done", lambda: no_jobs(database))
    rows = await database.fetch("SELECT status::text FROM pgqueuer_log WHERE status <> 'picked' ORDER BY id")
    return [row["status"] for row in rows]


async def test_our_tables_are_those_of_the_installed_pgqueuer(database: Database) -> None:
    """But for its trigger, its function and its schedules: an upgrade that wants more needs a migration of ours."""
    missing = (await Queries(PooledDriver(database)).plan_upgrade()).statements
    made = [" ".join(statement.split()[:3]) for statement in missing]
    assert made == [
        "CREATE TABLE pgqueuer_schedules",
        "CREATE FUNCTION fn_pgqueuer_changed()",
        "CREATE TRIGGER tg_pgqueuer_changed",
    ]


def test_pgqueuer_takes_no_names_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("CHANNEL", "TRIGGER", "PGQUEUER_QUEUE_TABLE", "PGQUEUER_PREFIX"):
        monkeypatch.setenv(variable, "other")
    assert (Names().queue_table, Names().trigger, Names().channel) == ("pgqueuer", "tg_pgqueuer_changed", "ch_pgqueuer")


async def test_a_first_reply_leaves_a_job_in_the_statement_of_its_end(
    story: Story, statements: list[LoggedQuery]
) -> None:
    run = await story.run((await story.conversation()).id)
    statements.clear()
    assert await end(story, run, "A tree")
    assert len([each for each in statements if "typeinfo" not in each.query]) == 1
    assert await jobs(story.database) == [("title", "queued", 0)]


TITLED = {"title": "Mine", "title_source": TitleSource.USER}


@pytest.mark.parametrize(
    ("text", "titles", "fields"), [(" \n", True, {}), ("A tree", False, {}), ("A tree", True, TITLED)]
)
async def test_without_a_text_or_with_a_title_there_is_no_job(
    story: Story, text: str, titles: bool, fields: dict[str, object]
) -> None:
    await caused(story, text, titles=titles, **fields)
    assert await jobs(story.database) == []


async def test_one_job_waits_for_a_conversation(story: Story) -> None:
    run = await caused(story)
    reply = await story.message(run.reply_id)
    assert not await end(story, await story.run(run.conversation_id, reply), "Another")
    assert await jobs(story.database) == [("title", "queued", 0)]


async def test_a_job_is_done_once_and_knows_what_it_is_about(story: Story) -> None:
    doing = Doing()
    run = await caused(story)
    async with working(story.database, doing):
        assert await all_done(story.database) == ["successful"]
    assert doing.jobs == [Job(JobKind.TITLE, story.owner, run.conversation_id, run.reply_id)]


async def test_who_is_woken_need_not_look(story: Story) -> None:
    doing, wakes = Doing(), Wakes()
    worker = JobWorker(story.database, wakes, {JobKind.TITLE: doing}, QUICK, Pace(look=timedelta(hours=1)))
    task = asyncio.ensure_future(worker.run())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not wakes.watched():
            await asyncio.sleep(0.01)
        await caused(story)
        wakes.hear([JOBS])
        await doing.begun.wait()
    task.cancel()
    await asyncio.wait([task])


async def test_a_job_that_fails_is_tried_again_and_then_dropped(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise NotNow

    doing = Doing(fails)
    await caused(story)
    with caplog.at_level(logging.WARNING, "pgqueuer"):
        async with working(story.database, doing):
            assert await all_done(story.database) == ["queued", "queued", "exception"]
    assert len(doing.jobs) == 3
    assert "after 3 tries" in caplog.text


async def test_what_a_failure_says_is_not_stored(story: Story) -> None:
    async def fails() -> None:
        raise ValueError("what a user wrote")

    await caused(story)
    async with working(story.database, Doing(fails)):
        await all_done(story.database)
    rows = await story.database.fetch("SELECT traceback::text AS said FROM pgqueuer_log WHERE traceback IS NOT NULL")
    assert len(rows) == 3
    assert not any("what a user wrote" in row["said"] for row in rows)


async def test_who_leaves_puts_a_job_back(story: Story) -> None:
    doing = Doing(asyncio.Event().wait)  # type: ignore[arg-type]  # what it returns is of no interest
    await caused(story)
    async with working(story.database, doing):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await doing.begun.wait()
    assert await jobs(story.database) == [("title", "queued", 1)]
    async with working(story.database, again := Doing()):
        await all_done(story.database)
    assert again.jobs == doing.jobs


async def test_a_worker_outlasts_an_outage(story: Story) -> None:
    doing = Doing()
    async with working(story.database, doing):
        rows = await story.database.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert rows
        await caused(story)
        assert await all_done(story.database) == ["successful"]


async def test_two_processes_do_each_job_once(story: Story, database_url: str) -> None:
    for _ in range(20):
        await caused(story)
    done = await raced(*[("do_jobs", database_url)] * 2)
    assert sum(map(int, done)) == 20
    assert await all_done(story.database) == ["successful"] * 20


async def test_a_job_of_a_killed_process_is_done_by_another(story: Story, database_url: str) -> None:
    run = await caused(story)
    dying = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.repositories.racing", "hold_a_job", database_url, stdout=PIPE
    )
    assert dying.stdout is not None
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await dying.stdout.readline() == b"begun\n"
    dying.send_signal(signal.SIGKILL)
    await dying.wait()
    assert await jobs(story.database) == [("title", "picked", 0)]
    doing = Doing()
    async with working(story.database, doing):
        assert await all_done(story.database) == ["successful"]
    assert [job.message_id for job in doing.jobs] == [run.reply_id]


async def test_what_was_done_long_ago_is_forgotten(story: Story) -> None:
    await caused(story)
    async with working(story.database, Doing()):
        await all_done(story.database)
    await story.database.execute(
        "UPDATE pgqueuer_log SET created = created - interval '2 days' WHERE status = 'picked'"
    )

    async def forgotten() -> bool:
        return len(await story.database.fetch("SELECT 1 FROM pgqueuer_log")) == 1

    async with working(story.database, Doing()):
        await until("all but the last entry is forgotten", forgotten)
