"""onBusy: what a send does on a path that is being written."""

import asyncio
import itertools
from typing import Any

import pytest

from server.compose import Gus
from tests.graphql.asked import told
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.rows import counts, unchanged
from tests.model_server import ModelServer

HANGS = script(words=9, after=3, fault="hang_between")

RUN = """
query($id: ID!) {
  generation(id: $id) {
    status finishReason startedAt endedAt queuePosition usage { outputTokens } error { code }
    reply { text status parent { id } }
    conversation { activeGeneration { id } }
  }
}
"""


async def run_of(ada: FrontEnd, sent: dict[str, Any]) -> dict[str, Any]:
    return dict((await ada.ask(RUN, id=sent["generation"]["id"]))["generation"])


@pytest.fixture
async def busy(ada: FrontEnd) -> dict[str, Any]:
    """A send whose reply has three words, and goes on when it is stopped only."""
    sent = await ada.send(HANGS)
    await ada.heard(sent["generation"]["id"])
    return sent


def told_apart(rows: dict[str, int]) -> dict[str, int]:
    """Without the log, in which those who wait are told their places."""
    return {table: number for table, number in rows.items() if table != "generation_events"}


async def enqueued(ada: FrontEnd, busy: dict[str, Any], text: str = "And?", **input: object) -> dict[str, Any]:
    sent = await ada.send(text, **here(busy), onBusy="ENQUEUE", **input)
    assert sent["__typename"] == "SendMessageSuccess", sent
    return sent


async def test_to_reject_is_the_default_and_can_be_said(ada: FrontEnd, busy: dict[str, Any], gus: Gus) -> None:
    for policy in ({}, {"onBusy": "REJECT"}):
        refused = await unchanged(gus, ada.send("And?", **here(busy), **policy))
        assert refused["__typename"] == "ConversationBusy"
        assert refused["activeGeneration"]["id"] == busy["generation"]["id"]


async def test_a_policy_does_not_matter_where_nothing_is_busy(ada: FrontEnd) -> None:
    first = await ada.said(script(words=1))
    for policy in ("ENQUEUE", "INTERRUPT", "BRANCH"):
        sent = await ada.said(script(words=1), **here(first), onBusy=policy)
        assert (sent["generation"]["status"], sent["conversation"]["rootCount"]) == ("RUNNING", 1)
        assert sent["userMessage"]["siblingIndex"] == 1


async def test_a_queued_send_stands_at_once_below_the_pending_reply(ada: FrontEnd, busy: dict[str, Any]) -> None:
    sent = await enqueued(ada, busy)
    assert sent["userMessage"]["parent"] == {"id": busy["reply"]["id"]}
    assert (sent["userMessage"]["status"], sent["userMessage"]["text"]) == ("COMPLETE", "And?")
    assert (sent["reply"]["status"], sent["reply"]["text"]) == ("PENDING", "")
    assert sent["reply"]["parent"] == {"id": sent["userMessage"]["id"]}
    assert (sent["generation"]["status"], sent["generation"]["lastSeq"]) == ("QUEUED", 0)
    assert sent["conversation"]["activeLeaf"] == {"id": sent["reply"]["id"]}
    below = await enqueued(ada, busy, "And then?")
    assert below["userMessage"]["parent"] == {"id": sent["reply"]["id"]}


async def test_a_queued_send_is_answered_after_the_one_before_and_with_its_answer(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    first = await ada.send(script(words=4, delay_ms=80))
    second = await enqueued(ada, first, "And leaves?")
    await ada.followed(second["generation"]["id"])
    asked, answered = await run_of(ada, first), await run_of(ada, second)
    assert (asked["status"], answered["status"]) == ("COMPLETED", "COMPLETED")
    assert asked["endedAt"] <= answered["startedAt"]
    assert told(model_server) == [script(words=4, delay_ms=80), model_server.seen[0].text, "And leaves?"]
    assert answered["reply"]["text"] == model_server.seen[1].text


async def test_queued_sends_are_answered_in_their_order_each_with_all_answers_before(
    ada: FrontEnd, busy: dict[str, Any], model_server: ModelServer
) -> None:
    waiting = [await enqueued(ada, busy, script(words=1, tag=f"t{number}")) for number in range(3)]
    await ada.stop(busy["generation"]["id"])
    for sent in waiting:
        await ada.followed(sent["generation"]["id"])
    assert [seen.text for seen in model_server.seen][1:] == ["w1-t0", "w1-t1", "w1-t2"]
    assert told(model_server)[3::2] == ["w1-t0", "w1-t1"]
    runs = [await run_of(ada, sent) for sent in waiting]
    assert all(before["endedAt"] <= after["startedAt"] for before, after in itertools.pairwise(runs))


async def test_at_most_five_wait(ada: FrontEnd, busy: dict[str, Any], gus: Gus) -> None:
    waiting = [await enqueued(ada, busy, f"Number {number}") for number in range(5)]
    before = await counts(gus.database)
    refused = await ada.send("One too many", **here(busy), onBusy="ENQUEUE")
    assert told_apart(await counts(gus.database)) == told_apart(before)
    assert (refused["__typename"], refused["retryable"]) == ("ConversationBusy", True)
    assert refused["activeGeneration"]["id"] == waiting[-1]["generation"]["id"]


async def test_of_twenty_that_want_to_wait_at_once_five_do_in_one_row(
    ada: FrontEnd, busy: dict[str, Any], gus: Gus
) -> None:
    sent = await asyncio.gather(*(ada.send(f"{n}", **here(busy), onBusy="ENQUEUE") for n in range(20)))
    assert sorted(one["__typename"] for one in sent) == ["ConversationBusy"] * 15 + ["SendMessageSuccess"] * 5
    assert sorted(one["userMessage"]["depth"] for one in sent if "userMessage" in one) == [2, 4, 6, 8, 10]
    assert (await counts(gus.database))["branches"] == 1


async def test_the_queue_goes_on_when_the_one_before_is_stopped(
    ada: FrontEnd, busy: dict[str, Any], model_server: ModelServer
) -> None:
    second = await enqueued(ada, busy)
    await ada.stop(busy["generation"]["id"])
    assert (await ada.followed(second["generation"]["id"]))[-1]["status"] == "COMPLETED"
    assert told(model_server) == [HANGS, model_server.seen[0].text, "And?"]


async def test_the_queue_goes_on_when_the_one_before_fails(ada: FrontEnd, model_server: ModelServer) -> None:
    failing = script(words=3, after=1, delay_ms=300, fault="error_data")
    first = await ada.send(failing)
    second = await enqueued(ada, first)
    assert (await ada.followed(second["generation"]["id"]))[-1]["status"] == "COMPLETED"
    assert (await run_of(ada, first))["status"] == "FAILED"
    assert told(model_server) == [failing, model_server.seen[0].text, "And?"]


async def test_a_queued_run_is_stopped_without_asking_a_model(
    ada: FrontEnd, busy: dict[str, Any], model_server: ModelServer
) -> None:
    second = await enqueued(ada, busy)
    assert (await ada.stop(second["generation"]["id"]))["alreadyEnded"] is False
    assert (await ada.followed(second["generation"]["id"]))[-1]["finishReason"] == "USER_STOP"
    run = await run_of(ada, second)
    assert (run["status"], run["usage"], run["error"]) == ("STOPPED", None, None)
    assert (run["reply"]["text"], run["reply"]["status"]) == ("", "STOPPED")
    assert len(model_server.seen) == 1
    assert (await run_of(ada, busy))["status"] == "RUNNING"


async def test_behind_a_queued_run_that_was_stopped_one_still_waits_for_all_before(
    ada: FrontEnd, busy: dict[str, Any], model_server: ModelServer
) -> None:
    second, third = await enqueued(ada, busy, "Second"), await enqueued(ada, busy, "Third")
    await ada.stop(second["generation"]["id"])
    await ada.followed(second["generation"]["id"])
    await gus_turns(ada)
    assert (await run_of(ada, third))["status"] == "QUEUED"
    await ada.stop(busy["generation"]["id"])
    await ada.followed(third["generation"]["id"])
    assert told(model_server) == [HANGS, model_server.seen[0].text, "Second\n\nThird"]


async def gus_turns(ada: FrontEnd) -> None:
    """Another send's whole run: whoever's turn it is has had it."""
    await ada.said(script(words=1))


async def test_the_path_of_a_queued_run_is_busy_for_others(ada: FrontEnd, busy: dict[str, Any], gus: Gus) -> None:
    second = await enqueued(ada, busy)
    refused = await ada.send("And?", **here(busy))
    assert refused["activeGeneration"]["id"] == second["generation"]["id"]
    assert (await counts(gus.database))["messages"] == 4
    assert (await run_of(ada, second))["conversation"]["activeGeneration"]["id"] == second["generation"]["id"]


async def test_a_path_is_being_written_as_long_as_any_run_on_it_is(ada: FrontEnd, busy: dict[str, Any]) -> None:
    second = await enqueued(ada, busy)
    await ada.stop(second["generation"]["id"])
    await ada.followed(second["generation"]["id"])
    active = (await run_of(ada, busy))["conversation"]["activeGeneration"]
    assert active == {"id": busy["generation"]["id"]}


async def test_a_queued_send_is_answered_once_for_its_key(ada: FrontEnd, busy: dict[str, Any]) -> None:
    second = await enqueued(ada, busy, idempotencyKey="k")
    again = await enqueued(ada, busy, idempotencyKey="k")
    assert (again["replayed"], again["generation"]["id"]) == (True, second["generation"]["id"])
    reused = await ada.send("And?", **here(busy), onBusy="BRANCH", idempotencyKey="k")
    assert reused["__typename"] == "KeyReused"


async def test_to_interrupt_keeps_the_partial_reply_and_goes_on_below_it(
    ada: FrontEnd, busy: dict[str, Any], model_server: ModelServer
) -> None:
    sent = await ada.said("Shorter!", **here(busy), onBusy="INTERRUPT")
    partial = model_server.seen[0].text
    assert partial.count("w") == 3
    run = await run_of(ada, busy)
    assert (run["status"], run["finishReason"], run["error"]) == ("STOPPED", "INTERRUPT", None)
    assert (run["reply"]["text"], run["reply"]["status"]) == (partial, "STOPPED")
    assert sent["userMessage"]["parent"] == {"id": busy["reply"]["id"]}
    assert told(model_server) == [HANGS, partial, "Shorter!"]
    assert model_server.seen[0].disconnected_at is not None


async def test_to_interrupt_ends_all_that_wait_too(
    ada: FrontEnd, busy: dict[str, Any], model_server: ModelServer
) -> None:
    waiting = [await enqueued(ada, busy, f"Number {number}") for number in range(2)]
    sent = await ada.said("Enough!", **here(busy), onBusy="INTERRUPT")
    runs = [await run_of(ada, each) for each in (busy, *waiting)]
    assert {(run["status"], run["finishReason"]) for run in runs} == {("STOPPED", "INTERRUPT")}
    assert sent["userMessage"]["parent"] == {"id": waiting[-1]["reply"]["id"]}
    assert len(model_server.seen) == 2
    assert told(model_server) == [HANGS, model_server.seen[0].text, "Number 0\n\nNumber 1\n\nEnough!"]


async def test_two_interruptions_at_once_take_one_path(ada: FrontEnd, busy: dict[str, Any], gus: Gus) -> None:
    sent = await asyncio.gather(*(ada.send(HANGS, **here(busy), onBusy="INTERRUPT") for _ in range(3)))
    assert [one["__typename"] for one in sent] == ["SendMessageSuccess"] * 3
    assert sorted(one["userMessage"]["depth"] for one in sent) == [2, 4, 6]
    assert (await counts(gus.database))["branches"] == 1
    last = max(sent, key=lambda one: int(one["userMessage"]["depth"]))
    statuses = [(await run_of(ada, one))["status"] for one in sent if one is not last]
    assert (statuses, (await run_of(ada, last))["status"]) == (["STOPPED"] * 2, "RUNNING")


async def test_of_five_twins_that_interrupt_one_sends(ada: FrontEnd, busy: dict[str, Any], gus: Gus) -> None:
    twins = [ada.send(HANGS, **here(busy), onBusy="INTERRUPT", idempotencyKey="twin") for _ in range(5)]
    sent = await asyncio.gather(*twins)
    assert sorted(one["replayed"] for one in sent) == [False] + [True] * 4
    assert (await counts(gus.database))["generations"] == 2


async def test_to_branch_at_the_root_opens_another_root_in_parallel(
    ada: FrontEnd, busy: dict[str, Any], model_server: ModelServer
) -> None:
    sent = await ada.send(HANGS, **here(busy), onBusy="BRANCH")
    assert (sent["userMessage"]["parent"], sent["userMessage"]["siblingIndex"]) == (None, 2)
    assert sent["conversation"]["rootCount"] == 2
    assert sent["conversation"]["activeLeaf"] == {"id": sent["reply"]["id"]}
    await ada.heard(sent["generation"]["id"])
    assert [(await run_of(ada, each))["status"] for each in (busy, sent)] == ["RUNNING", "RUNNING"]
    assert told(model_server) == [HANGS]


async def test_to_branch_stands_beside_the_message_that_is_being_answered(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    first = await ada.said("One")
    second = await ada.send(HANGS, **here(first))
    for policy in ({}, {"parent": second["reply"]["id"]}, {"expectedLeaf": "the latest"}):
        leaf = (await ada.ask(LEAF, id=first["conversation"]["id"]))["conversation"]["activeLeaf"]["id"]
        where = {name: leaf if name == "expectedLeaf" else value for name, value in policy.items()}
        beside = await ada.send(HANGS, **here(first), **where, onBusy="BRANCH")
        assert beside["userMessage"]["parent"] == {"id": first["reply"]["id"]}
    await ada.heard(beside["generation"]["id"])
    assert (beside["userMessage"]["siblingIndex"], beside["conversation"]["rootCount"]) == (4, 1)
    assert told(model_server) == ["One", model_server.seen[0].text, HANGS]


LEAF = "query($id: ID!) {conversation(id: $id) {activeLeaf {id}}}"


async def test_to_branch_from_a_queue_stands_beside_what_is_written_now(ada: FrontEnd, busy: dict[str, Any]) -> None:
    await enqueued(ada, busy)
    sent = await ada.send(HANGS, **here(busy), onBusy="BRANCH")
    assert (sent["userMessage"]["parent"], sent["conversation"]["rootCount"]) == (None, 2)
    assert sent["generation"]["status"] == "RUNNING"
