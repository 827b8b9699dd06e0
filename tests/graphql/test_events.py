"""conversationEvents and viewerEvents: what other tabs and devices are told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from typing import Any

from repositories.conversation.events import SqlEvents
from server.compose import Gus
from tests.graphql.documents import CONVERSATION_EVENTS, DELETE, VIEWER_EVENTS
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.ids import MALFORMED, UNKNOWN

HANGS = script(words=9, after=3, fault="hang_between")

STATE = """
query($id: ID!) {conversation(id: $id) {eventSeq messageCount messages(first: 100) {nodes {id status}}}}
"""
EVENT_SEQ = "query($id: ID!) {conversation(id: $id) {eventSeq}}"

Events = AsyncIterator[dict[str, Any]]


async def event_seq(ada: FrontEnd, conversation: str) -> int:
    return int((await ada.ask(EVENT_SEQ, id=conversation))["conversation"]["eventSeq"])


async def up_to(events: Events, kind: str, times: int = 1) -> list[dict[str, Any]]:
    """Those that come, up to so many of a kind."""
    seen = list[dict[str, Any]]()
    while sum(event["__typename"] == kind for event in seen) < times:
        seen.append(await anext(events))
    return seen


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["__typename"] for event in events]


async def test_a_send_is_two_messages_a_start_and_an_end(ada: FrontEnd) -> None:
    conversation = (await ada.create())["conversation"]["id"]
    assert await event_seq(ada, conversation) == 0
    async with ada.watching(CONVERSATION_EVENTS, conversation=conversation, after=0) as events:
        sent = await ada.said(script(words=1), conversation=conversation)
        seen = await up_to(events, "ReplyFinished")
    assert kinds(seen) == ["MessageAdded", "MessageAdded", "ReplyStarted", "ReplyFinished"]
    assert [event["seq"] for event in seen] == [1, 2, 3, 4]
    said, reply = seen[0]["addedMessage"], seen[1]["addedMessage"]
    assert (said["id"], said["role"], said["text"]) == (sent["userMessage"]["id"], "USER", script(words=1))
    assert (reply["id"], reply["role"]) == (sent["reply"]["id"], "ASSISTANT")
    assert (seen[2]["reply"]["id"], seen[2]["generation"]["id"]) == (sent["reply"]["id"], sent["generation"]["id"])
    assert seen[3]["reply"] == {"id": sent["reply"]["id"], "status": "COMPLETE"}
    assert seen[3]["generation"] == {"id": sent["generation"]["id"], "status": "COMPLETED"}
    assert seen[3]["conversation"] == {"eventSeq": 4, "messageCount": 2}


async def test_from_a_cursor_comes_what_followed_it(ada: FrontEnd) -> None:
    sent = await ada.said(script(words=1))
    conversation = sent["conversation"]["id"]
    for after in range(-1, 4):
        async with ada.watching(CONVERSATION_EVENTS, conversation=conversation, after=after) as events:
            assert [event["seq"] for event in await up_to(events, "ReplyFinished")] == list(range(max(after, 0) + 1, 5))


async def test_from_nothing_it_begins_with_the_state_now_and_goes_on(ada: FrontEnd) -> None:
    sent = await ada.said(script(words=1))
    async with ada.watching(CONVERSATION_EVENTS, **here(sent)) as events:
        assert await anext(events) == {
            "__typename": "ConversationSnapshot",
            "seq": 4,
            "conversation": {"eventSeq": 4, "messageCount": 2},
        }
        await ada.said(script(words=1), **here(sent))
        assert [event["seq"] for event in await up_to(events, "ReplyFinished")] == [5, 6, 7, 8]


async def test_a_continuation_starts_and_ends_and_adds_a_message_only_where_it_stands_apart(ada: FrontEnd) -> None:
    sent = await ada.said(script(words=1, finish="length"))
    after = await event_seq(ada, sent["conversation"]["id"])
    async with ada.watching(CONVERSATION_EVENTS, **here(sent), after=after) as events:
        on = await ada.go_on(sent["reply"]["id"])
        seen = await up_to(events, "ReplyFinished")
        assert kinds(seen) == ["ReplyStarted", "ReplyFinished"]
        assert {event["generation"]["id"] for event in seen} == {on["generation"]["id"]}
        await ada.said("And?", **here(sent))
        await up_to(events, "ReplyFinished")
        beside = await ada.go_on(sent["reply"]["id"])
        seen = await up_to(events, "ReplyFinished")
    assert kinds(seen) == ["MessageAdded", "ReplyStarted", "ReplyFinished"]
    assert seen[0]["addedMessage"]["id"] == beside["reply"]["id"]


async def test_what_waits_is_told_when_it_was_sent_and_when_it_ended(ada: FrontEnd) -> None:
    first = await ada.send(HANGS)
    after = await event_seq(ada, first["conversation"]["id"])
    async with ada.watching(CONVERSATION_EVENTS, **here(first), after=after) as events:
        second = await ada.send(script(words=1), **here(first), onBusy="ENQUEUE")
        seen = await up_to(events, "ReplyStarted")
        assert kinds(seen) == ["MessageAdded", "MessageAdded", "ReplyStarted"]
        assert seen[-1]["generation"]["id"] == second["generation"]["id"]
        await ada.stop(first["generation"]["id"])
        seen = await up_to(events, "ReplyFinished", times=2)
    ended = [event["generation"]["id"] for event in seen if event["__typename"] == "ReplyFinished"]
    assert ended == [first["generation"]["id"], second["generation"]["id"]]


async def test_a_conversation_read_with_its_event_seq_and_the_events_after_it_are_the_whole(ada: FrontEnd) -> None:
    conversation = (await ada.create())["conversation"]["id"]
    root = (await ada.said(script(words=1), conversation=conversation))["reply"]["id"]
    sending = [
        asyncio.ensure_future(ada.said(script(words=2, delay_ms=5), conversation=conversation, parent=root))
        for _ in range(6)
    ]
    states = [(await ada.ask(STATE, id=conversation))["conversation"] for _ in range(6)]
    await asyncio.gather(*sending)
    whole = (await ada.ask(STATE, id=conversation))["conversation"]
    assert whole["eventSeq"] == 4 * 7
    for state in states:
        known = {message["id"] for message in state["messages"]["nodes"]}
        unfinished = {message["id"] for message in state["messages"]["nodes"] if message["status"] != "COMPLETE"}
        added, ended = set[str](), set[str]()
        if state["eventSeq"] < whole["eventSeq"]:
            async with ada.watching(CONVERSATION_EVENTS, conversation=conversation, after=state["eventSeq"]) as events:
                async for event in events:
                    added |= {event["addedMessage"]["id"]} if event["__typename"] == "MessageAdded" else set()
                    ended |= {event["reply"]["id"]} if event["__typename"] == "ReplyFinished" else set()
                    if event["seq"] == whole["eventSeq"]:
                        break
        assert known | added == {message["id"] for message in whole["messages"]["nodes"]}
        assert unfinished <= ended


async def test_changes_of_the_conversation_and_of_what_is_shown_are_told(ada: FrontEnd) -> None:
    conversation = (first := await ada.said("One"))["conversation"]["id"]
    await ada.said("Two", **here(first), parent=first["userMessage"]["id"])
    after = await event_seq(ada, conversation)
    async with ada.watching(CONVERSATION_EVENTS, conversation=conversation, after=after) as events:
        for change in (
            ada.update(conversation, title="Trees"),
            ada.mark_read(conversation),
            ada.set_state(conversation, "PAUSED"),
        ):
            await change
            assert (await anext(events))["__typename"] == "ConversationChanged"
        await ada.select(first["reply"]["id"])
        selected = await anext(events)
    assert (selected["__typename"], selected["activeLeaf"]) == ("BranchSelected", {"id": first["reply"]["id"]})
    assert selected["seq"] == after + 4


async def test_nothing_is_told_of_what_was_so_before(ada: FrontEnd) -> None:
    first = await ada.said(script(words=1))
    conversation = first["conversation"]["id"]
    await ada.mark_read(conversation)
    after = await event_seq(ada, conversation)
    await ada.update(conversation, title=None)
    await ada.mark_read(conversation)
    await ada.set_state(conversation, "ACTIVE")
    await ada.select(first["userMessage"]["id"])
    assert await event_seq(ada, conversation) == after


async def test_the_sidebar_hears_of_every_change(ada: FrontEnd, gus: Gus) -> None:
    conversation = (await ada.said(script(words=1)))["conversation"]["id"]
    async with ada.watching(VIEWER_EVENTS) as events:
        await anext(events)
        for change in (
            ada.update(conversation, pinned=True),
            ada.mark_read(conversation),
            ada.set_state(conversation, "ARCHIVED"),
        ):
            await change
            touched = await soon(anext(events))
            assert (touched["__typename"], touched["conversation"]["id"]) == ("ConversationTouched", conversation)


async def test_past_the_end_is_a_bad_variable(ada: FrontEnd) -> None:
    sent = await ada.said(script(words=1))
    assert await ada.stream_refused(CONVERSATION_EVENTS, **here(sent), after=5) == ["BAD_VARIABLES"]


async def test_unknown_malformed_foreign_and_deleted_conversations_cannot_be_watched(
    ada: FrontEnd, bob: FrontEnd
) -> None:
    theirs, gone = (await bob.create())["conversation"]["id"], (await ada.create())["conversation"]["id"]
    await ada.ask(DELETE, conversation=gone)
    for conversation in (theirs, gone, UNKNOWN["Conversation"], UNKNOWN["Message"], *MALFORMED):
        for after in (None, 0):
            refused = await ada.stream_refused(CONVERSATION_EVENTS, conversation=conversation, after=after)
            assert refused == ["NOT_FOUND"], conversation


async def test_past_retention_it_begins_with_the_state_now(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.said(script(words=1))
    assert await SqlEvents(gus.database).forget_events(timedelta(0), 4) == 4
    for after, first in ((0, "ConversationSnapshot"), (2, "ConversationSnapshot"), (3, "ReplyFinished")):
        async with ada.watching(CONVERSATION_EVENTS, **here(sent), after=after) as events:
            event = await anext(events)
            assert (event["__typename"], event["seq"]) == (first, 4)
    assert await SqlEvents(gus.database).forget_events(timedelta(0), 3) == 1
    async with ada.watching(CONVERSATION_EVENTS, **here(sent), after=0) as events:
        assert (await anext(events))["__typename"] == "ConversationSnapshot"


async def test_it_completes_when_the_conversation_is_deleted(ada: FrontEnd) -> None:
    sent = await ada.send(HANGS)
    async with ada.watching(CONVERSATION_EVENTS, **here(sent)) as events:
        await anext(events)
        await ada.ask(DELETE, **here(sent))
        assert [event async for event in events] == []


async def test_the_sidebar_begins_with_a_snapshot_and_hears_of_sends_and_ends(ada: FrontEnd) -> None:
    async with ada.watching(VIEWER_EVENTS) as events:
        assert await anext(events) == {
            "__typename": "ViewerSnapshot",
            "viewer": {"user": {"displayName": "Ada"}},
        }
        sent = await ada.send(HANGS)
        touched = await anext(events)
        assert touched == {
            "__typename": "ConversationTouched",
            "conversation": {**id_of(sent), "messageCount": 2, "activeLeaf": {"status": "STREAMING"}},
        }
        await ada.stop(sent["generation"]["id"])
        touched = await anext(events)
        assert touched["conversation"] == {**id_of(sent), "messageCount": 2, "activeLeaf": {"status": "STOPPED"}}
        await ada.ask(DELETE, **here(sent))
        assert await anext(events) == {
            "__typename": "ConversationRemoved",
            "removedConversation": sent["conversation"]["id"],
        }


async def test_the_sidebar_hears_of_what_is_created_and_removed_without_a_word(ada: FrontEnd) -> None:
    async with ada.watching(VIEWER_EVENTS) as events:
        await anext(events)
        made = (await ada.create())["conversation"]["id"]
        touched = await soon(anext(events))
        assert (touched["__typename"], touched["conversation"]["id"]) == ("ConversationTouched", made)
        await ada.ask(DELETE, conversation=made)
        assert await anext(events) == {"__typename": "ConversationRemoved", "removedConversation": made}


async def test_the_sidebar_hears_nothing_of_other_users_and_nothing_of_before(ada: FrontEnd, bob: FrontEnd) -> None:
    await ada.said(script(words=1))
    async with ada.watching(VIEWER_EVENTS) as events:
        await anext(events)
        await bob.said(script(words=1))
        mine = await ada.send(HANGS)
        assert (await anext(events))["conversation"]["id"] == mine["conversation"]["id"]


async def soon(event: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """Before two polls are over."""
    async with asyncio.timeout(2):
        return await event


def id_of(sent: dict[str, Any]) -> dict[str, str]:
    return {"id": sent["conversation"]["id"]}
