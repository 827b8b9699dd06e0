"""A conversation without a title gets one after its first answer, and nobody waits for it."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import strawberry

from domain.model import Model
from providers.openai import ServerConfig
from server.compose import Gus
from server.models_file import Catalogue
from server.settings import Settings
from tests.graphql.documents import CONVERSATION_EVENTS, DELETE, VIEWER_EVENTS
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.models import model
from tests.graphql.process import process, served
from tests.model_server import ModelServer
from tests.model_server.answer import Seen
from tests.waiting import until

TITLE = "query($id: ID!) {conversation(id: $id) {title titleSource version}}"
NEVER = "fault=hang_first"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, secret_key="0123456789abcdef" * 2, grace_seconds=0)


@pytest.fixture
def says() -> str:
    """How the cheapest model answers."""
    return "say=Trees in winter"


@pytest.fixture
def catalogue(model_server: ModelServer, says: str) -> Catalogue:
    models = model("dear"), cheap(says)
    return Catalogue(models, tuple(ServerConfig(name=each.provider, base_url=model_server.base_url) for each in models))


def cheap(says: str) -> Model:
    """It stands in a line of its own."""
    price = Decimal("0.5")
    narrow = model("cheap", provider="narrow", max_concurrency=1, output_price_per_million=price)
    return replace(narrow, name_at_provider=f"scripted/{says}")


def is_of_job(seen: Seen) -> bool:
    return str(seen.body.get("model")).startswith("scripted/")


async def title(ada: FrontEnd, sent: dict[str, Any]) -> tuple[str | None, str, int]:
    found = (await ada.ask(TITLE, id=sent["conversation"]["id"]))["conversation"]
    return found["title"], found["titleSource"], found["version"]


async def jobs_done(gus: Gus) -> None:
    async with asyncio.timeout(30):
        while await gus.database.fetch("SELECT 1 FROM pgqueuer"):
            await asyncio.sleep(0.01)


async def calls(gus: Gus) -> list[tuple[object, ...]]:
    rows = await gus.database.fetch("SELECT * FROM model_calls ORDER BY id")
    return [tuple(row[name] for name in ("purpose", "model_key", "usage_source", "output_tokens")) for row in rows]


async def test_a_sidebar_sees_the_title_come(ada: FrontEnd, gus: Gus, model_server: ModelServer) -> None:
    conversation = (await ada.create())["conversation"]["id"]
    async with (
        ada.watching(CONVERSATION_EVENTS, conversation=conversation, after=0) as events,
        ada.watching(VIEWER_EVENTS) as touches,
    ):
        sent = await ada.said(script(words=3), conversation=conversation)
        seen = [await anext(events) for _ in range(5)]
        while (await title(ada, sent))[0] is None or (await anext(touches))["__typename"] != "ConversationTouched":
            continue
    assert [event["__typename"] for event in seen[3:]] == ["ReplyFinished", "ConversationChanged"]
    assert seen[4]["conversation"]["eventSeq"] == seen[4]["seq"] == 5
    assert await title(ada, sent) == ("Trees in winter", "AUTO", 1)
    asked = model_server.seen[-1].body
    assert asked["max_tokens"] == 32
    assert script(words=3) in str(asked["messages"])
    assert model_server.seen[0].text in str(asked["messages"])


async def test_a_call_for_a_title_is_metered_by_itself(ada: FrontEnd, gus: Gus, model_server: ModelServer) -> None:
    await ada.said(script(words=3))
    await jobs_done(gus)
    assert await calls(gus) == [("TITLE", "cheap", "PROVIDER", 1)]
    [row] = await gus.database.fetch("SELECT cost_nano, input_tokens FROM model_calls")
    assert row["cost_nano"] == row["input_tokens"] * 250 + 500


async def test_a_second_reply_asks_for_no_other_title(ada: FrontEnd, gus: Gus, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=1))
    await jobs_done(gus)
    await ada.said(script(words=1), **here(sent))
    assert await gus.database.fetch("SELECT 1 FROM pgqueuer") == []
    assert len(await calls(gus)) == 1


async def test_a_title_of_its_users_stays(ada: FrontEnd, gus: Gus, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=1), newConversation={"title": "Mine"})
    assert await title(ada, sent) == ("Mine", "USER", 1)
    assert len(model_server.seen) == 1


@pytest.mark.parametrize("says", ["say=Too late,first_delay_ms=300"])
async def test_a_title_given_meanwhile_stays(ada: FrontEnd, gus: Gus, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=1))
    await model_server.wait_for(is_of_job)
    await gus.database.execute("UPDATE conversations SET title = 'Mine', title_source = 'USER'")
    await jobs_done(gus)
    assert await title(ada, sent) == ("Mine", "USER", 1)


@pytest.mark.parametrize("says", ["say= ", "think=20,words=0", "words=0"])
async def test_where_nothing_can_be_seen_there_is_no_title(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.said(script(words=1))
    await jobs_done(gus)
    assert await title(ada, sent) == (None, "NONE", 1)


@pytest.mark.parametrize("says", ["say=Too late,first_delay_ms=300"])
async def test_a_conversation_deleted_meanwhile_gets_none(ada: FrontEnd, gus: Gus, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=1))
    await model_server.wait_for(is_of_job)
    await ada.ask(DELETE, conversation=sent["conversation"]["id"])
    await jobs_done(gus)
    assert [row["title"] for row in await gus.database.fetch("SELECT title FROM conversations")] in ([None], [])
    assert len(await calls(gus)) == 1


@pytest.mark.parametrize("says", [NEVER])
async def test_a_reply_that_needs_the_server_has_it_at_once(ada: FrontEnd, gus: Gus, model_server: ModelServer) -> None:
    await ada.said(script(words=1))
    asked = await model_server.wait_for(is_of_job)
    sent = await ada.said(script(words=2), settings={"model": "cheap"})
    assert (await ada.followed(sent["generation"]["id"]))[-1]["status"] == "COMPLETED"
    await model_server.wait_for(lambda seen: seen is asked and seen.disconnected_at is not None)
    assert (await calls(gus))[0] == ("TITLE", "cheap", "PARTIAL", 0)


async def test_while_a_reply_is_written_nothing_else_is_asked_of_its_server(
    ada: FrontEnd, gus: Gus, model_server: ModelServer
) -> None:
    writing = await ada.send(script(words=9, fault="hang_first"), settings={"model": "cheap"})
    await model_server.wait_for(lambda seen: True)
    sent = await ada.said(script(words=1))
    await until("the job was put off", lambda: gus.database.fetch("SELECT 1 FROM pgqueuer WHERE attempts > 0"))
    assert await calls(gus) == []
    await ada.stop(writing["generation"]["id"])
    await jobs_done(gus)
    assert await title(ada, sent) == ("Trees in winter", "AUTO", 1)


async def test_titles_can_be_turned_off(
    ada: FrontEnd,
    gus: Gus,
    database_url: str,
    settings: Settings,
    catalogue: Catalogue,
    built: strawberry.Schema,
    model_server: ModelServer,
) -> None:
    async with process(database_url, settings.model_copy(update={"titles": "off"}), catalogue) as quiet:
        sent = await ada.at(served(quiet, built)).said(script(words=1))
        assert await gus.database.fetch("SELECT 1 FROM pgqueuer") == []
    assert await title(ada, sent) == (None, "NONE", 1)


async def test_of_two_processes_one_makes_the_title(
    ada: FrontEnd, gus: Gus, database_url: str, settings: Settings, catalogue: Catalogue, built: strawberry.Schema
) -> None:
    async with process(database_url, settings, catalogue) as other:
        there = ada.at(served(other, built))
        sent = [await front_end.said(script(words=1)) for front_end in (ada, there) * 3]
        await jobs_done(gus)
        assert [await title(there, each) for each in sent] == [("Trees in winter", "AUTO", 1)] * 6
    assert [made for made in await calls(gus) if made[2] == "PROVIDER"] == [("TITLE", "cheap", "PROVIDER", 1)] * 6
