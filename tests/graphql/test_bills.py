"""Every way a run can end bills what the model server produced, once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import strawberry

from domain.model import ModelKey
from server.compose import Gus, composed
from server.models_file import Catalogue
from server.node import Worker
from server.settings import Settings
from tests.graphql.documents import DELETE
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.limits import assert_settled, limit, quota
from tests.graphql.process import process, served
from tests.model_server import ModelServer

RUN = """
query($id: ID!) {
  generation(id: $id) {
    status finishReason error { code retryable } reserved cost model { key } usage { inputTokens outputTokens source }
    context { estimatedInputTokens } attempts { model outcome } reply { text }
  }
}
"""
HANGS = script(words=9, after=3, fault="hang_between")


@pytest.fixture
def catalogue(catalogue: Catalogue) -> Catalogue:
    """One of its servers is given up soon, and two models have a fallback that reads more than they can, and is dearer."""
    tight = next(model for model in catalogue.models if model.key == "tight")
    narrow = replace(tight, key=ModelKey("narrow"), provider="shaky", fallbacks=(ModelKey("spare"),))
    lucky = replace(narrow, key=ModelKey("lucky"), fallbacks=(ModelKey("spare"), ModelKey("tight")))
    soon = timedelta(milliseconds=300)
    servers = (
        replace(each, first_token_timeout=10 * soon, between_tokens_timeout=soon) if each.name == "brisk" else each
        for each in catalogue.servers
    )
    return replace(catalogue, models=(*catalogue.models, narrow, lucky), servers=tuple(servers))


@pytest.fixture
async def settled(gus: Gus) -> AsyncIterator[None]:
    """What every one of these tests ends with."""
    yield
    await assert_settled(gus.database)


pytestmark = pytest.mark.usefixtures("settled")


async def run_of(front_end: FrontEnd, sent: dict[str, Any]) -> dict[str, Any]:
    return dict((await front_end.ask(RUN, id=sent["generation"]["id"]))["generation"])


async def entries(gus: Gus) -> list[tuple[int, int, int]]:
    """What users were billed: tokens in, tokens out, nano-USD."""
    sql = "SELECT * FROM ledger_entries WHERE account LIKE 'user:%' ORDER BY at, transaction_id"
    return [(row["input_tokens"], row["output_tokens"], row["amount_nano"]) for row in await gus.database.fetch(sql)]


async def billed(gus: Gus) -> list[int]:
    """The tokens out alone."""
    return [out for _, out, _ in await entries(gus)]


async def suppliers(gus: Gus) -> list[str]:
    """Whose answers were billed."""
    found = await gus.database.fetch("SELECT account FROM ledger_entries WHERE account LIKE 'model:%' ORDER BY at")
    return [row["account"] for row in found]


def produced(model_server: ModelServer) -> list[int]:
    """What the model server says it wrote, of each request; a word is a token."""
    return [len(seen.produced) for seen in model_server.seen]


def price(input_tokens: int, output_tokens: int, per_million: str = "1.5") -> Decimal:
    return (input_tokens * Decimal("0.25") + output_tokens * Decimal(per_million)) / 1_000_000


@pytest.mark.parametrize(
    ("answer", "status", "reason", "source", "words"),
    [
        ({"words": 7}, "COMPLETED", "STOP", "PROVIDER", 7),
        ({"words": 7, "finish": "length"}, "COMPLETED", "LENGTH", "PROVIDER", 7),
        ({"words": 7, "reasoning": 2}, "COMPLETED", "STOP", "PROVIDER", 7),
        ({"words": 7, "fault": "usage_none"}, "COMPLETED", "STOP", "ESTIMATED", 7),
        ({"words": 7, "after": 3, "fault": "cut"}, "FAILED", "ERROR", "PARTIAL", 3),
        ({"words": 7, "after": 3, "fault": "error_data"}, "FAILED", "ERROR", "PARTIAL", 3),
        ({"words": 7, "after": 3, "fault": "hang_between"}, "FAILED", "ERROR", "PARTIAL", 3),
    ],
)
async def test_an_answer_is_billed_as_far_as_it_came(
    ada: FrontEnd,
    gus: Gus,
    model_server: ModelServer,
    answer: dict[str, Any],
    status: str,
    reason: str,
    source: str,
    words: int,
) -> None:
    run = await run_of(ada, await ada.said(script(**answer), settings={"model": "brisk"}))
    assert (run["status"], run["finishReason"], run["usage"]["source"]) == (status, reason, source)
    assert run["usage"]["outputTokens"] == words
    # What the server wrote after it had failed was for nobody.
    assert run["reply"]["text"] == "".join(model_server.seen[0].produced[:words])
    assert Decimal(run["cost"]) == price(run["usage"]["inputTokens"], words) <= Decimal(run["reserved"])
    assert await entries(gus) == [(run["usage"]["inputTokens"], words, int(Decimal(run["cost"]) * 10**9))]


async def test_a_reported_zero_stays_zero(ada: FrontEnd, gus: Gus) -> None:
    run = await run_of(ada, await ada.said(script(words=7, fault="usage_zero")))
    assert (run["usage"], run["cost"]) == ({"inputTokens": 0, "outputTokens": 0, "source": "PROVIDER"}, "0")
    assert await entries(gus) == [(0, 0, 0)]


@pytest.mark.parametrize("fault", ["bad_request", "hang_first"])
async def test_what_never_began_is_billed_nothing(ada: FrontEnd, gus: Gus, fault: str) -> None:
    run = await run_of(ada, await ada.said(script(fault=fault), settings={"model": "brisk"}))
    assert (run["status"], run["usage"], run["cost"]) == ("FAILED", None, None)
    assert await entries(gus) == [(0, 0, 0)]


async def test_a_stopped_answer_is_billed_for_all_that_was_produced(
    ada: FrontEnd, gus: Gus, model_server: ModelServer
) -> None:
    sent = await ada.send(script(words=9, after=5, fault="hang_between"))
    events = await ada.heard(sent["generation"]["id"], words=5)
    await ada.stop(sent["generation"]["id"], events[1]["seq"])
    await ada.followed(sent["generation"]["id"])
    run = await run_of(ada, sent)
    assert (run["finishReason"], run["usage"]["source"], produced(model_server)) == ("USER_STOP", "PARTIAL", [5])
    assert run["usage"]["outputTokens"] == 5
    assert await entries(gus) == [(run["usage"]["inputTokens"], 5, int(Decimal(run["cost"]) * 10**9))]


async def test_an_answer_that_takes_too_long_is_billed_as_far_as_it_came(
    ada: FrontEnd,
    gus: Gus,
    model_server: ModelServer,
    database_url: str,
    settings: Settings,
    catalogue: Catalogue,
    built: strawberry.Schema,
) -> None:
    hasty = settings.model_copy(update={"answer_seconds": 1})
    async with process(database_url, hasty, catalogue) as short:
        sent = await ada.at(served(short, built)).said(HANGS, settings={"model": "whole"})
    run = await run_of(ada, sent)
    assert (run["status"], run["finishReason"], run["usage"]["source"]) == ("TIMED_OUT", "TIMEOUT", "PARTIAL")
    assert run["error"] == {"code": "TOTAL_TIMEOUT", "retryable": True}
    assert (run["reply"]["text"], produced(model_server)) == (model_server.seen[0].text, [3])
    assert model_server.seen[0].disconnected_at is not None
    assert Decimal(run["cost"]) == price(run["usage"]["inputTokens"], 3) <= Decimal(run["reserved"])
    assert await entries(gus) == [(run["usage"]["inputTokens"], 3, int(Decimal(run["cost"]) * 10**9))]


async def test_an_answer_past_its_reservation_is_cut_there(ada: FrontEnd, gus: Gus, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=50, delay_ms=5), settings={"maxOutputTokens": 5})
    run = await run_of(ada, sent)
    assert (run["status"], run["finishReason"], run["usage"]["source"]) == ("STOPPED", "BUDGET", "PARTIAL")
    assert run["usage"]["outputTokens"] == 5
    assert run["reply"]["text"] == "".join(model_server.seen[0].produced[:5])
    assert Decimal(run["cost"]) == price(run["usage"]["inputTokens"], 5) == Decimal(run["reserved"])
    assert model_server.seen[0].body["max_tokens"] == 5
    assert model_server.seen[0].disconnected_at is not None
    on = await ada.go_on(sent["reply"]["id"], maxOutputTokens=100)
    await ada.followed(on["generation"]["id"])
    assert await billed(gus) == [5, produced(model_server)[1]]


async def test_an_answer_that_is_asked_for_twice_is_billed_and_was_reserved_for_both(
    ada: FrontEnd, gus: Gus, model_server: ModelServer
) -> None:
    asked = {"responseFormat": {"type": "JSON_OBJECT"}, "maxOutputTokens": 5}
    once = await run_of(ada, await ada.said(script(say=["{}"]), settings={"maxOutputTokens": 5}))
    sent = await ada.said(script(say=["no", " JSON"], then={"say": ["{}"]}), settings=asked)
    run = await run_of(ada, sent)
    assert (run["status"], run["reply"]["text"], run["usage"]["outputTokens"]) == ("COMPLETED", "{}", 3)
    assert Decimal(run["cost"]) == price(run["usage"]["inputTokens"], 3) <= Decimal(run["reserved"])
    assert Decimal(run["reserved"]) > 2 * Decimal(once["reserved"])
    assert len(model_server.seen) == 3
    assert (await billed(gus), produced(model_server)) == ([1, 3], [1, 2, 1])


async def test_a_fallback_is_billed_at_its_own_price(ada: FrontEnd, gus: Gus, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=4, fault="unavailable_503", times=1), settings={"model": "backed"})
    run = await run_of(ada, sent)
    assert (run["model"], run["usage"]["outputTokens"], produced(model_server)) == ({"key": "spare"}, 4, [0, 4])
    assert Decimal(run["cost"]) == price(run["usage"]["inputTokens"], 4, "30") <= Decimal(run["reserved"])
    assert await suppliers(gus) == ["model:spare"]


@pytest.mark.parametrize(
    ("model", "status", "error", "supplier", "tries"),
    [
        ("narrow", "FAILED", {"code": "QUOTA_EXCEEDED", "retryable": True}, "narrow", ["SERVER_ERROR"]),
        ("lucky", "COMPLETED", None, "tight", ["SERVER_ERROR", "ANSWERED"]),
    ],
)
async def test_a_fallback_that_a_limit_leaves_out_is_not_asked_and_not_billed(
    ada: FrontEnd,
    grace: FrontEnd,
    gus: Gus,
    model_server: ModelServer,
    model: str,
    status: str,
    error: dict[str, object] | None,
    supplier: str,
    tries: list[str],
) -> None:
    first = await ada.said("Hi " * 2_000)
    await limit(grace, "TOKENS", "DAY", "1000000")
    # Enough for a window of 400 tokens, and not for a second reading of all that was said.
    await limit(grace, "TOKENS", "DAY", str(int((await quota(ada))["used"]) + 600))
    answer = script(words=4, fault="unavailable_503", times=1)
    sent = await ada.said(answer, **here(first), settings={"model": model})
    run = await run_of(ada, sent)
    assert (run["status"], run["error"], run["model"]) == (status, error, {"key": supplier})
    assert [(each["outcome"], each["model"]) for each in run["attempts"]] == list(
        zip(tries, [model, supplier], strict=False)
    )
    assert Decimal(run["reserved"]) == price(run["context"]["estimatedInputTokens"], 100, "30")
    assert (await suppliers(gus))[1:] == [f"model:{supplier}"]
    assert await billed(gus) == [produced(model_server)[0], sum(produced(model_server)[1:])]
    assert (await quota(ada))["reserved"] == "0"


async def test_an_interrupted_answer_is_billed_and_so_is_the_one_in_its_place(
    ada: FrontEnd, gus: Gus, model_server: ModelServer
) -> None:
    first = await ada.send(HANGS)
    await ada.heard(first["generation"]["id"])
    second = await ada.send(script(words=2), **here(first), onBusy="INTERRUPT")
    await ada.followed(second["generation"]["id"])
    assert (await run_of(ada, first))["finishReason"] == "INTERRUPT"
    assert await billed(gus) == produced(model_server) == [3, 2]


async def test_a_deleted_conversations_answer_is_billed_and_stays_so(
    ada: FrontEnd, gus: Gus, model_server: ModelServer
) -> None:
    sent = await ada.send(HANGS)
    await ada.heard(sent["generation"]["id"])
    await ada.ask(DELETE, **here(sent))
    while not await entries(gus):
        await asyncio.sleep(0.01)
    before = await entries(gus)
    assert await billed(gus) == produced(model_server) == [3]
    await gus.upkeep.once()
    assert (await gus.database.fetch("SELECT count(*) FROM generations"))[0][0] == 0
    assert await entries(gus) == before


async def test_what_is_stopped_before_its_turn_is_billed_nothing(ada: FrontEnd, gus: Gus) -> None:
    first = await ada.send(HANGS)
    waiting = await ada.send("Hi", **here(first), onBusy="ENQUEUE")
    await ada.stop(waiting["generation"]["id"])
    await ada.followed(waiting["generation"]["id"])
    assert await entries(gus) == [(0, 0, 0)]
    await ada.stop(first["generation"]["id"])
    await ada.followed(first["generation"]["id"])


async def test_an_answer_that_a_leaving_process_breaks_off_is_billed_and_going_on_is_billed_apart(
    ada: FrontEnd, gus: Gus, model_server: ModelServer, database_url: str, settings: Settings, catalogue: Catalogue
) -> None:
    async with process(database_url, settings, catalogue) as other:
        sent = await ada.send(script(words=9, after=3, fault="hang_between", times=1))
        await ada.heard(sent["generation"]["id"])
        await gus.runs.drain()
        while len(await entries(other)) < 2:
            await asyncio.sleep(0.01)
        assert await billed(other) == produced(model_server) == [3, 9]
        counted = "SELECT DISTINCT messages FROM quota_windows"
        assert [row["messages"] for row in await other.database.fetch(counted)] == [1]


async def test_an_answer_whose_process_died_is_billed_by_whoever_finds_it(
    ada: FrontEnd, gus: Gus, model_server: ModelServer, database_url: str, settings: Settings, catalogue: Catalogue
) -> None:
    sent = await ada.send(script(words=9, after=3, fault="hang_between"), settings={"model": "whole"})
    await ada.heard(sent["generation"]["id"])
    # As if its process were another one, which is dead.
    worker = Worker(uuid4())
    await gus.database.execute("UPDATE generations SET attempt = attempt + 1, node = $1", worker.node_id)
    async with composed(settings, database_url, catalogue, worker):
        run = await run_of(ada, sent)
    assert (run["status"], run["finishReason"], run["usage"]["source"]) == ("INTERRUPTED", "SERVER_LOST", "PARTIAL")
    assert await billed(gus) == produced(model_server) == [3]
