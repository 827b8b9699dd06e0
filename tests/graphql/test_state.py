"""setConversationState, the sends that a state refuses, and the sweeper that lets idle conversations rest."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from domain.conversation.entity import MAY_BECOME, ConversationState, RequestedState
from server.compose import Gus
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.ids import MALFORMED, UNKNOWN
from tests.graphql.rows import unchanged

SHOWN = "{viewer {conversations {nodes {id state}}}}"


async def put_in(gus: Gus, state: ConversationState) -> None:
    await gus.database.execute("UPDATE conversations SET state = $1", state.value)


@pytest.mark.parametrize("state", ConversationState)
async def test_a_state_becomes_what_the_table_says_and_nothing_else(
    ada: FrontEnd, gus: Gus, state: ConversationState
) -> None:
    conversation = (await ada.create())["conversation"]["id"]
    for requested in RequestedState:
        await put_in(gus, state)
        becomes = ConversationState(requested.value)
        if becomes in MAY_BECOME[state]:
            answered = await ada.set_state(conversation, requested.value)
            assert answered["conversation"]["state"] == requested.value
            continue
        answered = await unchanged(gus, ada.set_state(conversation, requested.value))
        if becomes is state:
            assert answered["conversation"]["state"] == state.value
        else:
            assert (answered["__typename"], answered["code"]) == ("IllegalTransition", "ILLEGAL_TRANSITION")
            assert (answered["from"], answered["to"]) == (state.value, requested.value)


def test_from_every_state_there_is_a_way_back_and_none_into_rest() -> None:
    assert set(MAY_BECOME) == set(ConversationState)
    for state, others in MAY_BECOME.items():
        assert state not in others
        assert ConversationState.INACTIVE not in others
        assert state is ConversationState.ACTIVE or ConversationState.ACTIVE in others


async def test_nobody_can_ask_for_inactive(ada: FrontEnd) -> None:
    query = "mutation($id: ID!) {setConversationState(conversation: $id, state: INACTIVE) {__typename}}"
    assert await ada.refused(query, id=UNKNOWN["Conversation"]) == ["VALIDATION_FAILED"]


async def test_unknown_malformed_and_foreign_ones_are_answered_alike(ada: FrontEnd, bob: FrontEnd, gus: Gus) -> None:
    theirs = (await bob.create())["conversation"]["id"]
    for conversation in (theirs, UNKNOWN["Conversation"], UNKNOWN["Message"], *MALFORMED):
        for change in (ada.set_state(conversation, "PAUSED"), ada.mark_read(conversation)):
            refused = await unchanged(gus, change)
            assert (refused["__typename"], refused["path"]) == ("NotFound", ["conversation"])


Send = Callable[[FrontEnd, dict[str, Any]], Any]

SENDS: dict[str, Send] = {
    "to the active leaf": lambda ada, sent: ada.send("Hello", **here(sent)),
    "below a parent": lambda ada, sent: ada.send("Hello", **here(sent), parent=sent["reply"]["id"]),
    "to go on": lambda ada, sent: ada.go_on(sent["reply"]["id"]),
}


@pytest.mark.parametrize("send", SENDS)
@pytest.mark.parametrize("state", ["PAUSED", "ARCHIVED"])
async def test_paused_and_archived_ones_take_no_messages(ada: FrontEnd, gus: Gus, state: str, send: str) -> None:
    sent = await ada.said(script(words=1, finish="length"))
    await ada.set_state(sent["conversation"]["id"], state)
    refused = await unchanged(gus, SENDS[send](ada, sent))
    assert (refused["__typename"], refused["code"]) == ("ConversationClosed", "CONVERSATION_CLOSED")
    assert (refused["state"], refused["retryable"]) == (state, False)
    await ada.set_state(sent["conversation"]["id"], "ACTIVE")
    assert (await SENDS[send](ada, sent))["__typename"] == "SendMessageSuccess"


async def test_a_state_that_is_set_between_a_sends_look_and_its_lock_refuses_it(ada: FrontEnd, gus: Gus) -> None:
    """Whoever is first under the lock: what was sent after the archiving is not there."""
    first = await ada.said(script(words=1))
    for _ in range(10):
        archived, sent = await asyncio.gather(
            ada.set_state(first["conversation"]["id"], "ARCHIVED"),
            ada.send("Hello", **here(first), parent=first["reply"]["id"]),
        )
        if sent["__typename"] == "SendMessageSuccess":
            assert sent["userMessage"]["receivedAt"] <= archived["conversation"]["updatedAt"]
        else:
            assert sent["__typename"] == "ConversationClosed"
        await ada.set_state(first["conversation"]["id"], "ACTIVE")


async def test_a_reply_that_is_being_written_goes_on_to_its_end(ada: FrontEnd) -> None:
    sent = await ada.send(script(words=5, delay_ms=20))
    await ada.set_state(sent["conversation"]["id"], "ARCHIVED")
    assert (await ada.followed(sent["generation"]["id"]))[-1]["status"] == "COMPLETED"


async def test_idle_ones_rest_where_they_stand_in_lists_until_the_next_send(ada: FrontEnd, gus: Gus) -> None:
    old, new = [(await ada.said(script(words=1)))["conversation"]["id"] for _ in range(2)]
    await aged(gus, days=31)
    await ada.said(script(words=1), conversation=new)
    before = await gus.database.fetch("SELECT id, updated_at, last_message_at FROM conversations ORDER BY id")
    await gus.upkeep.once()
    assert (await ada.ask(SHOWN))["viewer"]["conversations"]["nodes"] == [
        {"id": new, "state": "ACTIVE"},
        {"id": old, "state": "INACTIVE"},
    ]
    assert await gus.database.fetch("SELECT id, updated_at, last_message_at FROM conversations ORDER BY id") == before
    await ada.said(script(words=1), conversation=old)
    assert (await ada.ask(SHOWN))["viewer"]["conversations"]["nodes"][0] == {"id": old, "state": "ACTIVE"}


async def test_paused_archived_and_deleted_ones_do_not_come_to_rest(ada: FrontEnd, gus: Gus) -> None:
    for state in (ConversationState.PAUSED, ConversationState.ARCHIVED, ConversationState.INACTIVE):
        await ada.create()
        await put_in(gus, state)
        await aged(gus, days=31)
        before = await gus.database.fetch("SELECT state, event_seq FROM conversations")
        await gus.upkeep.once()
        assert await gus.database.fetch("SELECT state, event_seq FROM conversations") == before


async def test_a_conversation_without_a_message_is_as_old_as_itself(ada: FrontEnd, gus: Gus) -> None:
    await ada.create()
    await aged(gus, days=29)
    await gus.upkeep.once()
    [row] = await gus.database.fetch("SELECT state FROM conversations")
    assert row["state"] == "ACTIVE"
    await aged(gus, days=2)
    await gus.upkeep.once()
    [row] = await gus.database.fetch("SELECT state, event_seq FROM conversations")
    assert tuple(row) == ("INACTIVE", 1)


async def aged(gus: Gus, days: int) -> None:
    await gus.database.execute(
        "UPDATE conversations SET last_message_at = last_message_at - $1 * interval '1 day',"
        " created_at = created_at - $1 * interval '1 day', updated_at = updated_at - $1 * interval '1 day'",
        days,
    )
