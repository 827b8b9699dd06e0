"""Summaries made by jobs, of a scripted model server: chained, refused, made once, and made after a death."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from domain.background import BackgroundCalls
from domain.generation.wakes import Wakes
from domain.job import JobKind, JobPolicy
from domain.message import Message
from domain.model import Model, Models
from domain.summary import Summarizing
from domain.window.summary import ContextSummary
from domain.world import UserId
from providers import ConfiguredServers
from providers.openai import ServerConfig
from repositories.job.rows import enqueue
from repositories.job.worker import JobWorker, Pace
from repositories.summary import SqlSummaries
from repositories.usage import SqlCalls
from tests.graphql.models import model
from tests.model_server import ModelServer
from tests.repositories.story import WORLD, Story

SAYS = "say=They spoke of trees."
PACE = Pace(look=timedelta(milliseconds=50))
JOB = enqueue(JobKind.SUMMARY, key="$1::uuid", owner="$2::uuid", conversation="$3::uuid", message="$1::uuid")


@dataclass(frozen=True, slots=True)
class Stage:
    story: Story
    server: ModelServer
    trunk: list[Message]

    async def want(self, through: Message) -> None:
        owner, conversation = self.story.owner, through.conversation_id
        await self.story.database.execute(f"{JOB} ON CONFLICT DO NOTHING", through.id, owner, conversation)

    @asynccontextmanager
    async def working(self, says: str = SAYS, *, context_window: int = 65_536) -> AsyncIterator[None]:
        """Another process, at that: it shares nothing but the database."""
        scripted = replace(model("scripted", context_window=context_window), name_at_provider=f"scripted/{says}")
        async with ConfiguredServers([ServerConfig(name="here", base_url=self.server.base_url)]) as servers:
            database, wakes = self.story.database, Wakes()
            models = Models([scripted], servers)

            async def allowed(owner: UserId) -> list[Model]:
                return models.on_offer()

            calls = BackgroundCalls(models, SqlCalls(database), wakes, WORLD, lines=lambda: (), allowed=allowed)
            summarizing = Summarizing(SqlSummaries(database), self.story.messages, calls, WORLD)
            policy = JobPolicy(first_pause=timedelta(milliseconds=50))
            worker = JobWorker(database, wakes, {JobKind.SUMMARY: summarizing.make}, policy, PACE)
            task = asyncio.ensure_future(worker.run())
            try:
                yield
            finally:
                task.cancel()
                await asyncio.wait([task])

    async def done(self) -> None:
        async with asyncio.timeout(30):
            while await self.story.database.fetch("SELECT 1 FROM pgqueuer"):
                await asyncio.sleep(0.01)

    async def newest(self) -> ContextSummary | None:
        return (await SqlSummaries(self.story.database).standing(self.story.owner, self.trunk[-1].id)).summary

    def asked(self) -> list[str]:
        """What each request said last."""
        return [str(seen.body["messages"][-1]["content"]) for seen in self.server.seen if "messages" in seen.body]  # type: ignore[index]  # a list, as the scripts say


@pytest.fixture
async def stage(story: Story) -> AsyncIterator[Stage]:
    conversation = await story.conversation()
    trunk = await story.say(conversation.id, None, *(f"Tree number {n} of the wood." for n in range(10)))
    async with ModelServer() as server:
        yield Stage(story, server, trunk)


async def test_a_summary_is_made_of_the_one_before_and_what_fell_out_since(stage: Stage) -> None:
    async with stage.working():
        await stage.want(stage.trunk[3])
        await stage.done()
        first = await stage.newest()
        assert first is not None
        assert (first.text, first.covers_through, first.depth) == ("They spoke of trees.", stage.trunk[3].id, 3)
        await stage.want(stage.trunk[7])
        await stage.done()
    second = await stage.newest()
    assert second is not None
    assert (second.covers_through, second.depth) == (stage.trunk[7].id, 7)
    texts = [[f"number {n} " in asked for n in range(10)] for asked in stage.asked()]
    assert texts == [[True] * 4 + [False] * 6, [False] * 4 + [True] * 4 + [False] * 2]
    assert "They spoke of trees." in stage.asked()[1]
    [row] = await stage.story.database.fetch("SELECT supersedes FROM context_summaries WHERE id = $1", second.id)
    assert row["supersedes"] == first.id
    purposes = await stage.story.database.fetch("SELECT purpose, usage_source FROM model_calls")
    assert [tuple(row) for row in purposes] == [("SUMMARY", "PROVIDER")] * 2


@pytest.mark.parametrize(
    "says", [f"{SAYS},finish=length", "words=0", "say= ", f"say={'far too long ' * 40}", "fault=bad_request"]
)
async def test_what_cannot_stand_in_is_refused_and_not_tried_again_until_there_is_twice_as_much(
    stage: Stage, says: str
) -> None:
    async with stage.working(says):
        for depth in (4, 5, 7, 9):
            await stage.want(stage.trunk[depth])
            await stage.done()
    assert await stage.newest() is None
    assert len(stage.asked()) == 2  # of five messages, and of ten


async def test_what_is_covered_is_not_summed_up_again(stage: Stage) -> None:
    """As after a death between the summary's commit and the job's."""
    async with stage.working():
        for _ in range(2):
            await stage.want(stage.trunk[5])
            await stage.done()
    assert len(stage.asked()) == 1


async def test_of_two_processes_one_makes_it(stage: Stage) -> None:
    async with stage.working(), stage.working():
        await asyncio.gather(*(stage.want(stage.trunk[5]) for _ in range(5)))
        await stage.done()
    assert len(stage.asked()) == 1
    assert len(await stage.story.database.fetch("SELECT 1 FROM context_summaries")) == 1


async def test_a_process_that_leaves_while_the_model_talks_leaves_it_to_another(stage: Stage) -> None:
    await stage.want(stage.trunk[5])
    async with stage.working("fault=hang_first"):
        await stage.server.wait_for(lambda seen: "messages" in seen.body)
    assert await stage.newest() is None
    async with stage.working():
        await stage.done()
    assert (summary := await stage.newest()) is not None
    assert summary.covers_through == stage.trunk[5].id
    rows = await stage.story.database.fetch("SELECT usage_source FROM model_calls ORDER BY id")
    assert [row["usage_source"] for row in rows] == ["PARTIAL", "PROVIDER"]


async def test_more_than_a_model_takes_is_covered_in_part(stage: Stage) -> None:
    async with stage.working(context_window=750):
        await stage.want(stage.trunk[9])
        await stage.done()
    assert (summary := await stage.newest()) is not None
    assert 0 < summary.depth < 9


async def test_what_is_still_being_written_is_waited_for(stage: Stage) -> None:
    run = await stage.story.run(stage.trunk[0].conversation_id, await stage.story.message(stage.trunk[9].id))
    reply = await stage.story.message(run.reply_id)
    await stage.want(reply)
    async with stage.working():
        while not await stage.story.database.fetch("SELECT 1 FROM pgqueuer WHERE attempts > 0"):
            await asyncio.sleep(0.01)
        assert stage.asked() == []
        await stage.story.finish(run, "A tree.")
        await stage.done()
    summary = (await SqlSummaries(stage.story.database).standing(stage.story.owner, reply.id)).summary
    assert summary is not None
    assert summary.covers_through == reply.id


async def test_of_a_conversation_that_is_gone_nothing_is_made(stage: Stage) -> None:
    await stage.want(stage.trunk[5])
    await stage.story.database.execute("UPDATE conversations SET deleted_at = now()")
    async with stage.working():
        await stage.done()
    assert stage.asked() == []
