"""SUMMARIZE: what falls out of the window is summed up in the background, and stands in for it in every branch below."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from providers.openai import ServerConfig
from server.compose import Gus
from server.models_file import Catalogue
from server.settings import Settings
from tests.graphql.asked import told
from tests.graphql.documents import DELETE
from tests.graphql.front_end import FrontEnd, here, outlined, script
from tests.graphql.models import model
from tests.graphql.rebuilding import rebuilt
from tests.graphql.rows import unchanged
from tests.graphql.test_preview import previewed
from tests.graphql.test_send import LEAN
from tests.graphql.test_titles import is_of_job, jobs_done
from tests.model_server import ModelServer

SUMMARIZE = {"newConversation": {"contextPolicy": {"strategy": "SUMMARIZE"}}}
FILLER = " why do all the leaves fall so early in this dry year" * 4
SUMMARY = "Summary of the conversation so far:\n\nThey spoke of trees."

WITHOUT_CHEAP = """
[[plans]]
key = "free"
name = "Free"
models = ["tight"]
roles = ["GUEST", "USER", "PREMIUM", "ADMIN", "SERVICE"]
default_for = ["GUEST", "USER", "PREMIUM", "ADMIN", "SERVICE"]
"""

REPORT = """
query($id: ID!) {
  generation(id: $id) {
    notices { code }
    context {
      strategy includedCount excludedCount
      excluded(last: 1) { nodes { id } }
      summary { id text coversThrough { id } model { key } tokens }
    }
  }
}
"""


@pytest.fixture
def says() -> str:
    """How the cheapest model sums up."""
    return "say=They spoke of trees."


@pytest.fixture
def catalogue(model_server: ModelServer, says: str) -> Catalogue:
    cheap = model("cheap", provider="steady", output_price_per_million=Decimal("0.5"))
    models = (
        model("tight", context_window=600, max_output_tokens=100),
        replace(cheap, name_at_provider=f"scripted/{says}"),
    )
    return Catalogue(models, tuple(ServerConfig(name=each.provider, base_url=model_server.base_url) for each in models))


@pytest.fixture
def plans() -> str | None:
    """None: everybody may use every model."""
    return None


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, plans: str | None) -> Settings:
    if plans is None:
        return settings
    file = tmp_path / "plans.toml"
    file.write_text(plans)
    return settings.model_copy(update={"plans": file})


async def talk(ada: FrontEnd, gus: Gus, turns: int) -> list[dict[str, Any]]:
    """Each turn after what the one before left to be done."""
    sent = [await ada.said(script(say=["0."]), **SUMMARIZE)]
    for turn in range(1, turns):
        sent.append(await ada.said(script(say=[f"{turn}."], id=FILLER), **here(sent[0])))
        await jobs_done(gus)
    return sent


async def run_of(ada: FrontEnd, sent: dict[str, Any]) -> dict[str, Any]:
    return dict((await ada.ask(REPORT, id=sent["generation"]["id"]))["generation"])


def replies(model_server: ModelServer) -> list[int]:
    """The requests for one."""
    return [number for number, seen in enumerate(model_server.seen) if seen.body.get("stream") and not is_of_job(seen)]


def summed_up(model_server: ModelServer) -> int:
    """How often."""
    return sum(map(is_of_job, model_server.seen))


async def test_a_summary_stands_in_for_what_fell_out_and_is_told_of(
    ada: FrontEnd, gus: Gus, model_server: ModelServer
) -> None:
    sent = await talk(ada, gus, 16)
    run = await run_of(ada, sent[-1])
    context, summary = run["context"], run["context"]["summary"]
    assert (summary["text"], summary["model"]["key"], summary["tokens"]) == ("They spoke of trees.", "cheap", 1)
    assert context["excluded"]["nodes"] == [summary["coversThrough"]]
    assert context["includedCount"] + context["excludedCount"] == 31
    asked = told(model_server, replies(model_server)[-1])
    assert asked[0].startswith(f"{SUMMARY}\n\nscript:")
    assert run["notices"] == sent[-1]["notices"] == [{"code": "CONTEXT_SUMMARIZED"}]
    assert (await ada.ask("query($id: ID!) {node(id: $id) {id}}", id=summary["id"]))["node"] == {"id": summary["id"]}
    assert summed_up(model_server) <= 8
    rows = await gus.database.fetch("SELECT DISTINCT purpose, model_key, usage_source FROM model_calls")
    assert [tuple(row) for row in rows] == [("SUMMARY", "cheap", "PROVIDER")]


async def test_requests_with_a_summary_are_rebuilt_to_the_byte(
    ada: FrontEnd, gus: Gus, model_server: ModelServer
) -> None:
    sent = await talk(ada, gus, 14)
    requests = [model_server.seen[number].raw for number in replies(model_server)]
    assert [await rebuilt(gus, one["generation"]["id"]) for one in sent] == requests


async def test_branches_below_what_it_covers_share_it_and_those_above_do_not(
    ada: FrontEnd, gus: Gus, model_server: ModelServer
) -> None:
    sent = await talk(ada, gus, 16)
    below = {**here(sent[0]), "parent": sent[-1]["reply"]["id"]}
    twins = [await ada.said(script(say=[name], id=FILLER), **below) for name in ("One", "Other")]
    above = await ada.said(script(say=["Above."]), **here(sent[0]), parent=sent[0]["reply"]["id"])
    first, second, none = [(await run_of(ada, one))["context"]["summary"] for one in (*twins, above)]
    assert first == second
    assert first["text"] == "They spoke of trees."
    assert none is None
    rows = await gus.database.fetch("SELECT 1 FROM context_summaries")
    assert len(rows) == summed_up(model_server)


@pytest.mark.parametrize("says", ["words=9,finish=length", "words=0", "words=300"])
async def test_a_refused_summary_is_not_asked_for_at_every_send(
    ada: FrontEnd, gus: Gus, model_server: ModelServer
) -> None:
    sent = await talk(ada, gus, 16)
    assert (await run_of(ada, sent[-1]))["context"]["summary"] is None
    assert sent[-1]["notices"] == [{"code": "CONTEXT_TRIMMED"}]
    assert 2 <= summed_up(model_server) <= 4


@pytest.mark.parametrize("plans", [WITHOUT_CHEAP])
async def test_a_model_that_their_owner_may_not_use_sums_nothing_up(
    ada: FrontEnd, gus: Gus, model_server: ModelServer
) -> None:
    sent = await talk(ada, gus, 12)
    assert (await run_of(ada, sent[-1]))["context"]["summary"] is None
    assert summed_up(model_server) == 0
    assert await gus.database.fetch("SELECT 1 FROM model_calls") == []


async def test_where_the_window_is_nearly_full_a_send_takes_one_statement_more(ada: FrontEnd, gus: Gus) -> None:
    sent, taken = await ada.said(script(say=["0."]), **SUMMARIZE), list[int]()
    for turn in range(1, 5):
        text = script(say=[f"{turn}."], id=FILLER, first_delay_ms=200)
        new, statements = await ada.counted(LEAN, input={"text": text, "idempotencyKey": f"{turn}", **here(sent)})
        taken.append(len(outlined(statements)))
        await ada.followed(new["sendMessage"]["generation"]["id"])
        await jobs_done(gus)
    assert taken == [9, 9, 9, 10]  # of the job's enqueuing none: it is a part of the one that grows the tree


async def test_a_send_that_comes_to_nothing_leaves_nothing_to_be_done(ada: FrontEnd, gus: Gus) -> None:
    sent = await talk(ada, gus, 3)
    busy = await ada.send(script(fault="hang_first", id=FILLER), **here(sent[0]))
    await jobs_done(gus)
    refused = await unchanged(gus, ada.send(script(id=FILLER), **here(sent[0])))
    assert refused["__typename"] == "ConversationBusy"
    assert await gus.database.fetch("SELECT 1 FROM pgqueuer") == []
    await ada.stop(busy["generation"]["id"])


async def test_a_preview_leaves_nothing_to_be_done(ada: FrontEnd, gus: Gus) -> None:
    sent = await talk(ada, gus, 16)
    preview = await previewed(ada, gus, script(say=["Not said."], id=FILLER), **here(sent[0]))
    assert preview["notices"] == [{"code": "CONTEXT_SUMMARIZED"}]


async def test_a_deleted_conversation_takes_its_summaries_along(ada: FrontEnd, bob: FrontEnd, gus: Gus) -> None:
    sent = await talk(ada, gus, 16)
    id = (await run_of(ada, sent[-1]))["context"]["summary"]["id"]
    assert (await bob.ask("query($id: ID!) {node(id: $id) {id}}", id=id))["node"] is None
    await ada.ask(DELETE, conversation=sent[0]["conversation"]["id"])
    assert (await ada.ask("query($id: ID!) {node(id: $id) {id}}", id=id))["node"] is None
