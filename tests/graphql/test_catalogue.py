"""Admins say what models there are: at once here, and in two seconds everywhere."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import strawberry

from domain.catalogue import MOST_MODELS
from server.compose import Gus
from server.models_file import Catalogue
from server.settings import Settings
from tests.graphql.documents import UPSERT_MODEL
from tests.graphql.front_end import FrontEnd, script
from tests.graphql.models import MODELS, ON_OFFER
from tests.graphql.process import process, served
from tests.graphql.rows import unchanged

ASKED = "{models {key}}"
NEW = {
    "key": "new",
    "provider": "here",
    "nameAtProvider": "scripted",
    "displayName": "New",
    "contextWindow": 8192,
    "maxOutputTokens": 512,
    "capabilities": ["STREAMING", "CONTINUE"],
    "inputPricePerMillion": "0.1",
    "outputPricePerMillion": "0.000000001",
    "fallbacks": ["other", "spare"],
}
STORED = {key: value for key, value in NEW.items() if key not in ("nameAtProvider", "fallbacks")} | {
    "capabilities": ["CONTINUE", "STREAMING"],
    "fallbacks": [{"key": "other"}, {"key": "spare"}],
    "retired": False,
}


@pytest.fixture
async def elsewhere(
    grace: FrontEnd, database_url: str, settings: Settings, catalogue: Catalogue, built: strawberry.Schema
) -> AsyncIterator[FrontEnd]:
    async with process(database_url, settings, catalogue) as gus:
        yield grace.at(served(gus, built))


async def said(admin: FrontEnd, **changes: object) -> dict[str, Any]:
    return dict((await admin.ask(UPSERT_MODEL, input={**NEW, **changes}))["upsertModel"])


async def keys(front_end: FrontEnd) -> list[str]:
    return [model["key"] for model in (await front_end.ask(ASKED))["models"]]


async def test_a_new_model_is_on_offer_and_answers(grace: FrontEnd, ada: FrontEnd) -> None:
    assert await said(grace) == {"__typename": "UpsertModelSuccess", "created": True, "model": STORED}
    assert await keys(ada) == [*ON_OFFER, "new"]
    sent = await ada.said(script(words=1), settings={"model": "new"})
    assert sent["generation"]["model"] == {"key": "new"}
    assert (await said(grace, displayName="Newer"))["created"] is False


async def test_a_configured_model_is_changed_where_it_stands(grace: FrontEnd, ada: FrontEnd) -> None:
    answer = await said(grace, key="scripted", outputPricePerMillion="7.25")
    assert (answer["created"], answer["model"]["outputPricePerMillion"]) == (False, "7.25")
    assert await keys(ada) == ON_OFFER
    await said(grace, key="scripted", retired=True)
    assert await keys(ada) == ON_OFFER[1:]
    refused = await ada.send("Hello", settings={"model": "scripted"})
    assert refused["__typename"] == "ModelUnavailable"


async def test_the_price_of_a_run_is_that_of_its_time(grace: FrontEnd, ada: FrontEnd) -> None:
    cost = "query($id: ID!) {generation(id: $id) {cost}}"
    sent = await ada.said(script(words=9))
    before = await ada.ask(cost, id=sent["generation"]["id"])
    await said(grace, key="scripted", inputPricePerMillion="9999", outputPricePerMillion="9999")
    assert await ada.ask(cost, id=sent["generation"]["id"]) == before


async def test_other_processes_hear_of_it(grace: FrontEnd, elsewhere: FrontEnd) -> None:
    await said(grace)
    async with asyncio.timeout(30):
        while "new" not in await keys(elsewhere):
            await asyncio.sleep(0)
    assert await keys(elsewhere) == [*ON_OFFER, "new"]


async def test_a_scarce_model_waits_for_its_turn_from_then_on(grace: FrontEnd, ada: FrontEnd) -> None:
    await said(grace, provider="steady", maxConcurrency=1)
    hangs = script(words=9, after=3, fault="hang_between")
    first = await ada.send(hangs, settings={"model": "new"})
    await ada.heard(first["generation"]["id"])
    second = await ada.send(script(words=1), settings={"model": "new"})
    status = "query($id: ID!) {generation(id: $id) {status}}"
    assert (await ada.ask(status, id=second["generation"]["id"]))["generation"] == {"status": "QUEUED"}
    await ada.stop(first["generation"]["id"])
    assert (await ada.followed(second["generation"]["id"]))[-1]["finishReason"] == "STOP"


@pytest.mark.parametrize(
    ("changes", "rule", "path"),
    [
        ({"inputPricePerMillion": "-0.000000001"}, "OUT_OF_RANGE", "inputPricePerMillion"),
        ({"outputPricePerMillion": "-1"}, "OUT_OF_RANGE", "outputPricePerMillion"),
        ({"outputPricePerMillion": "10000.01"}, "OUT_OF_RANGE", "outputPricePerMillion"),
        ({"outputPricePerMillion": "9" * 40}, "OUT_OF_RANGE", "outputPricePerMillion"),
        ({"inputPricePerMillion": "0.0000000001"}, "MALFORMED", "inputPricePerMillion"),
        ({"contextWindow": 255, "maxOutputTokens": None}, "OUT_OF_RANGE", "contextWindow"),
        ({"contextWindow": 100_000_001}, "OUT_OF_RANGE", "contextWindow"),
        ({"maxOutputTokens": 0}, "OUT_OF_RANGE", "maxOutputTokens"),
        ({"maxOutputTokens": 8192}, "OUT_OF_RANGE", "maxOutputTokens"),
        ({"maxConcurrency": 0}, "OUT_OF_RANGE", "maxConcurrency"),
        ({"key": ""}, "MALFORMED", "key"),
        ({"key": "a b"}, "MALFORMED", "key"),
        ({"key": "/a"}, "MALFORMED", "key"),
        ({"key": "é"}, "MALFORMED", "key"),
        ({"key": "k" * 101}, "TOO_LONG", "key"),
        ({"provider": "nobody"}, "UNKNOWN_VALUE", "provider"),
        ({"nameAtProvider": " "}, "EMPTY", "nameAtProvider"),
        ({"displayName": "x" * 201}, "TOO_LONG", "displayName"),
        ({"displayName": "a\0"}, "FORBIDDEN_CHARACTER", "displayName"),
        ({"fallbacks": ["new"]}, "UNKNOWN_VALUE", "fallbacks.0"),
        ({"fallbacks": ["other", "nothing"]}, "UNKNOWN_VALUE", "fallbacks.1"),
        ({"fallbacks": ["other", "other"]}, "UNKNOWN_VALUE", "fallbacks.1"),
        ({"fallbacks": ["other", "spare", "whole", "small", "frail", "backed"]}, "TOO_MANY", "fallbacks"),
    ],
)
async def test_what_no_model_can_be_is_refused(
    grace: FrontEnd, gus: Gus, changes: dict[str, object], rule: str, path: str
) -> None:
    refused = await unchanged(gus, said(grace, **changes))
    assert refused["__typename"] == "InvalidInput"
    assert [(problem["rule"], problem["path"]) for problem in refused["problems"]] == [
        (rule, ["input", *path.split(".")])
    ]


@pytest.mark.parametrize("price", ["NaN", "sNaN", "Infinity", "-Infinity", "", "1,5", "x", "1e3", "1e999999"])
async def test_a_price_is_a_number(grace: FrontEnd, gus: Gus, price: str) -> None:
    variables = {"input": {**NEW, "inputPricePerMillion": price}}
    assert await unchanged(gus, grace.refused(UPSERT_MODEL, **variables)) == ["BAD_VARIABLES"]


async def test_two_hundred_models_are_enough(grace: FrontEnd, gus: Gus) -> None:
    await said(grace)
    await gus.database.execute(
        "INSERT INTO models SELECT (jsonb_populate_record(m, jsonb_build_object('key', 'm' || n))).* "
        f"FROM models m, generate_series(1, {MOST_MODELS - len(MODELS) - 1}) n"
    )
    refused = await unchanged(gus, said(grace, key="more"))
    [problem] = refused["problems"]
    assert (problem["rule"], problem["path"], problem["limit"]) == ("TOO_MANY", ["input", "key"], 200)
    assert (await said(grace, key="m7"))["created"] is False
    assert (await said(grace, key="scripted"))["__typename"] == "UpsertModelSuccess"


async def test_a_model_of_a_server_that_has_left_the_configuration_is_left_out(grace: FrontEnd, gus: Gus) -> None:
    await said(grace)
    await gus.database.execute("UPDATE models SET provider = 'gone'")
    await gus.services.catalogue.reread()
    assert await keys(grace) == ON_OFFER


async def test_others_say_nothing(ada: FrontEnd, gus: Gus) -> None:
    assert (await unchanged(gus, said(ada, inputPricePerMillion="-1")))["__typename"] == "NotAllowed"
