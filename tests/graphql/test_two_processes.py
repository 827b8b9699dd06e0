"""Two processes on one database: what one does is seen, followed and stopped through the other."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
import strawberry

from server.compose import Gus
from server.models_file import Catalogue
from server.settings import Settings
from tests.graphql.asked import told
from tests.graphql.documents import CONVERSATION_EVENTS, DELETE, VIEWER_EVENTS
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.process import process, served
from tests.graphql.rows import counts
from tests.model_server import ModelServer

HANGS = script(words=9, after=3, fault="hang_between")
SCARCE = {"settings": {"model": "scarce"}}

RUN = "query($id: ID!) {generation(id: $id) {status finishReason lastSeq reply {text status}}}"


@pytest.fixture
async def there(
    ada: FrontEnd, database_url: str, settings: Settings, catalogue: Catalogue, built: strawberry.Schema
) -> AsyncIterator[FrontEnd]:
    """Ada at the other process."""
    async with process(database_url, settings, catalogue) as gus:
        yield ada.at(served(gus, built))


async def test_a_stream_is_the_same_through_either(ada: FrontEnd, there: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.send(script(words=20, delay_ms=10))
    elsewhere = await there.followed(sent["generation"]["id"])
    assert elsewhere == await ada.followed(sent["generation"]["id"])
    assert elsewhere[-1]["reply"]["text"] == model_server.seen[0].text


async def test_a_reply_is_read_in_the_middle_through_the_other(
    ada: FrontEnd, there: FrontEnd, model_server: ModelServer
) -> None:
    sent = await ada.send(HANGS)
    events = await there.heard(sent["generation"]["id"])
    run = (await there.ask(RUN, id=sent["generation"]["id"]))["generation"]
    assert run["reply"] == {"text": model_server.seen[0].text, "status": "STREAMING"}
    assert run["lastSeq"] == events[-1]["seq"]


async def test_a_run_is_stopped_through_the_other(ada: FrontEnd, there: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.send(HANGS)
    generation = sent["generation"]["id"]
    events = await there.heard(generation)
    assert (await there.stop(generation, events[1]["seq"]))["alreadyEnded"] is False
    ending = (await there.followed(generation))[len(events) :]
    assert [event["__typename"] for event in ending] == ["TextTruncated", "GenerationFinished"]
    assert ending[-1]["finishReason"] == "USER_STOP"
    assert model_server.seen[0].disconnected_at is not None
    assert (await ada.stop(generation))["alreadyEnded"] is True


async def test_a_key_is_answered_once_over_both(ada: FrontEnd, there: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=1), idempotencyKey="k")
    again = await there.send(script(words=1), idempotencyKey="k")
    assert (again["replayed"], again["generation"]["id"]) == (True, sent["generation"]["id"])
    assert len(model_server.seen) == 1


async def test_a_path_is_busy_for_both_and_can_be_interrupted_and_queued_on_through_the_other(
    ada: FrontEnd, there: FrontEnd, model_server: ModelServer
) -> None:
    first = await ada.send(HANGS)
    await ada.heard(first["generation"]["id"])
    assert (await there.send("And?", **here(first)))["__typename"] == "ConversationBusy"
    second = await there.send(HANGS, **here(first), onBusy="INTERRUPT")
    assert second["userMessage"]["parent"] == {"id": first["reply"]["id"]}
    await there.heard(second["generation"]["id"])
    partial = model_server.seen[0].text
    assert told(model_server) == [HANGS, partial, HANGS]
    third = await ada.send("And?", **here(first), onBusy="ENQUEUE")
    await ada.stop(second["generation"]["id"])
    assert (await there.followed(third["generation"]["id"]))[-1]["status"] == "COMPLETED"
    assert told(model_server) == [HANGS, partial, HANGS, model_server.seen[1].text, "And?"]


async def test_a_slot_is_one_over_both(ada: FrontEnd, there: FrontEnd, model_server: ModelServer) -> None:
    first = await ada.send(script(words=3, delay_ms=100), **SCARCE)
    async with ada.following(first["generation"]["id"]) as stream:
        while (await anext(stream))["__typename"] != "GenerationStarted":
            continue
    waiting = [await front_end.send(script(words=1), **SCARCE) for front_end in (ada, there, ada, there)]
    for sent in waiting:
        assert (await there.followed(sent["generation"]["id"]))[-1]["status"] == "COMPLETED"
    seen = list(model_server.seen)
    assert len(seen) == 5
    assert all(one.ended_at is not None and one.ended_at <= next.at for one, next in itertools.pairwise(seen))


async def test_events_of_a_conversation_are_heard_through_the_other(ada: FrontEnd, there: FrontEnd) -> None:
    conversation = (await ada.create())["conversation"]["id"]
    async with there.watching(CONVERSATION_EVENTS, conversation=conversation, after=0) as events:
        await ada.said(script(words=1), conversation=conversation)
        assert [(await anext(events))["__typename"] for _ in range(4)] == [
            "MessageAdded",
            "MessageAdded",
            "ReplyStarted",
            "ReplyFinished",
        ]
        await ada.ask(DELETE, conversation=conversation)
        assert [event async for event in events] == []


async def test_a_branch_that_one_selects_is_shown_by_the_other(ada: FrontEnd, there: FrontEnd) -> None:
    first = await ada.said("One")
    beside = await ada.said("Two", **here(first), parent=first["userMessage"]["id"])
    async with there.watching(CONVERSATION_EVENTS, **here(first)) as events:
        await anext(events)
        await ada.select(first["reply"]["id"])
        selected = await anext(events)
        assert (selected["__typename"], selected["activeLeaf"]) == ("BranchSelected", {"id": first["reply"]["id"]})
        await there.select(beside["reply"]["id"])
        assert (await anext(events))["activeLeaf"] == {"id": beside["reply"]["id"]}


async def test_fifty_answers_at_once_through_both_are_fifty_siblings(ada: FrontEnd, there: FrontEnd) -> None:
    first = await ada.said("One")
    started = await asyncio.gather(
        *(front_end.regenerate(first["reply"]["id"]) for front_end in (ada, there) for _ in range(25))
    )
    await asyncio.gather(*(ada.followed(one["generation"]["id"]) for one in started))
    assert sorted(one["reply"]["siblingIndex"] for one in started) == list(range(2, 52))
    query = (
        "query($id: ID!) {message(id: $id) {childCount children(first: 100) {nodes {siblingIndex status leaf {id}}}}}"
    )
    asked = (await there.ask(query, id=first["userMessage"]["id"]))["message"]
    assert asked["childCount"] == 51
    assert [reply["siblingIndex"] for reply in asked["children"]["nodes"]] == list(range(1, 52))
    assert {reply["status"] for reply in asked["children"]["nodes"]} == {"COMPLETE"}


async def test_the_sidebar_hears_of_the_other(ada: FrontEnd, there: FrontEnd) -> None:
    async with there.watching(VIEWER_EVENTS) as events:
        assert (await anext(events))["__typename"] == "ViewerSnapshot"
        sent = await ada.send(HANGS)
        assert (await anext(events))["conversation"]["id"] == sent["conversation"]["id"]
        await ada.ask(DELETE, **here(sent))
        removed = await anext(events)
    assert removed == {"__typename": "ConversationRemoved", "removedConversation": sent["conversation"]["id"]}


async def test_a_reply_that_one_began_goes_on_in_the_other(
    ada: FrontEnd, there: FrontEnd, model_server: ModelServer
) -> None:
    sent = await ada.said(script(words=3, finish="length"))
    on = await there.go_on(sent["reply"]["id"])
    end = (await ada.followed(on["generation"]["id"]))[-1]
    assert end["reply"]["text"] == "".join(seen.text for seen in model_server.seen)


async def test_what_a_leaving_process_has_begun_is_gone_on_with_once_by_one_of_the_others(
    ada: FrontEnd,
    gus: Gus,
    there: FrontEnd,
    model_server: ModelServer,
    database_url: str,
    settings: Settings,
    catalogue: Catalogue,
) -> None:
    async with process(database_url, settings, catalogue):
        sent = await ada.send(script(words=9, after=3, fault="hang_between", times=1), settings={"temperature": 0.5})
        await ada.heard(sent["generation"]["id"])
        async with there.watching(CONVERSATION_EVENTS, **here(sent), after=3) as events:
            await gus.runs.drain()
            told = [await anext(events) for _ in range(3)]
    assert [event["__typename"] for event in told] == ["ReplyFinished", "ReplyStarted", "ReplyFinished"]
    assert (await there.followed(sent["generation"]["id"]))[-1]["status"] == "INTERRUPTED"
    query = "query($id: ID!) {message(id: $id) {text generation {trigger status model {key} settings {temperature}}}}"
    reply = (await there.ask(query, id=sent["reply"]["id"]))["message"]
    assert reply["text"] == "".join(seen.text for seen in model_server.seen)
    assert reply["generation"] == {
        "trigger": "CONTINUE",
        "status": "COMPLETED",
        "model": {"key": "scripted"},
        "settings": {"temperature": 0.5},
    }
    assert ((await counts(gus.database))["generations"], len(model_server.seen)) == (2, 2)


async def test_what_is_gone_on_with_does_not_change_what_is_shown(
    ada: FrontEnd, gus: Gus, there: FrontEnd, model_server: ModelServer
) -> None:
    sent = await ada.send(script(words=9, after=3, fault="hang_between", times=1))
    await ada.heard(sent["generation"]["id"])
    beside = await ada.send(script(words=1), **here(sent), onBusy="BRANCH")
    await ada.followed(beside["generation"]["id"])
    async with there.watching(CONVERSATION_EVENTS, **here(sent), after=7) as events:
        await gus.runs.drain()
        while (await anext(events))["__typename"] != "ReplyStarted":
            continue
    conversation = await there.ask(
        "query($id: ID!) {conversation(id: $id) {activeLeaf {id}}}", id=sent["conversation"]["id"]
    )
    assert conversation["conversation"]["activeLeaf"] == {"id": beside["reply"]["id"]}


async def test_what_a_leaving_process_has_not_begun_to_answer_is_answered_by_the_other(
    ada: FrontEnd, gus: Gus, there: FrontEnd, model_server: ModelServer
) -> None:
    silent = await ada.send(script(words=2, fault="hang_first", times=1))
    # Of a model that cannot go on.
    speaking = await ada.send(HANGS, settings={"model": "whole"})
    await ada.heard(speaking["generation"]["id"])
    await gus.runs.drain()
    events = await there.followed(silent["generation"]["id"])
    assert events[-1]["status"] == "COMPLETED"
    assert [event["attempt"] for event in events if event["__typename"] == "GenerationStarted"] == [1, 2]
    lost = (await there.followed(speaking["generation"]["id"]))[-1]
    assert (lost["status"], lost["finishReason"]) == ("INTERRUPTED", "SERVER_LOST")
    assert lost["reply"]["text"] == model_server.seen[1].text
    assert (await counts(gus.database))["generations"] == 2
