"""selectBranch and markConversationRead: what every device of a user sees."""

from typing import Any

import pytest

from server.compose import Gus
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.ids import MALFORMED, UNKNOWN
from tests.graphql.rows import unchanged

HANGS = script(words=9, after=3, fault="hang_between")

STATE = "query($id: ID!) {conversation(id: $id) {activeLeaf {id} hasUnread updatedAt lastMessageAt}}"


@pytest.fixture
async def branches(ada: FrontEnd) -> list[dict[str, Any]]:
    """q0 - a0, and below a0 three questions with their replies; the last one is shown."""
    first = await ada.said(script(words=1))
    below = {**here(first), "parent": first["reply"]["id"]}
    return [first, *[await ada.said(script(words=1), **below) for _ in range(3)]]


async def active_leaf(ada: FrontEnd, sent: dict[str, Any]) -> str:
    return str((await ada.ask(STATE, id=sent["conversation"]["id"]))["conversation"]["activeLeaf"]["id"])


async def test_a_branch_is_shown_by_any_of_its_messages_and_stays(
    ada: FrontEnd, branches: list[dict[str, Any]]
) -> None:
    first, one, two, three = branches
    assert await active_leaf(ada, first) == three["reply"]["id"]
    for message, leaf in (
        (one["userMessage"], one["reply"]),
        (first["reply"], one["reply"]),
        (two["reply"], two["reply"]),
        (first["userMessage"], two["reply"]),
    ):
        selected = await ada.select(message["id"])
        assert selected["conversation"]["activeLeaf"] == {"id": leaf["id"]}
        assert await active_leaf(ada, first) == leaf["id"]


async def test_selecting_is_a_change_and_no_activity(ada: FrontEnd, branches: list[dict[str, Any]]) -> None:
    [first, one, *_] = branches
    before = (await ada.ask(STATE, id=first["conversation"]["id"]))["conversation"]
    after = (await ada.select(one["reply"]["id"]))["conversation"]
    assert after["lastMessageAt"] == before["lastMessageAt"]
    assert after["updatedAt"] > before["updatedAt"]


async def test_selecting_what_is_shown_changes_no_row(ada: FrontEnd, gus: Gus, branches: list[dict[str, Any]]) -> None:
    for message in (branches[3]["reply"], branches[0]["userMessage"]):
        selected = await unchanged(gus, ada.select(message["id"]))
        assert selected["conversation"]["activeLeaf"] == {"id": branches[3]["reply"]["id"]}


async def test_while_a_reply_streams_another_branch_is_shown_and_the_next_send_goes_below_that(
    ada: FrontEnd, branches: list[dict[str, Any]]
) -> None:
    running = await ada.send(HANGS, **here(branches[0]))
    await ada.heard(running["generation"]["id"])
    await ada.select(branches[1]["reply"]["id"])
    sent = await ada.said(script(words=1), **here(branches[0]))
    assert sent["userMessage"]["parent"] == {"id": branches[1]["reply"]["id"]}
    await ada.stop(running["generation"]["id"])


async def test_a_paused_one_shows_another_branch_and_an_archived_one_does_not(
    ada: FrontEnd, gus: Gus, branches: list[dict[str, Any]]
) -> None:
    await ada.set_state(branches[0]["conversation"]["id"], "PAUSED")
    assert (await ada.select(branches[1]["reply"]["id"]))["__typename"] == "SelectBranchSuccess"
    await ada.set_state(branches[0]["conversation"]["id"], "ARCHIVED")
    refused = await unchanged(gus, ada.select(branches[2]["reply"]["id"]))
    assert (refused["__typename"], refused["state"]) == ("ConversationClosed", "ARCHIVED")


async def test_unknown_malformed_and_foreign_messages_are_answered_alike(
    ada: FrontEnd, bob: FrontEnd, gus: Gus
) -> None:
    theirs = await bob.said(script(words=1))
    for message in (theirs["reply"]["id"], theirs["conversation"]["id"], UNKNOWN["Message"], *MALFORMED):
        refused = await unchanged(gus, ada.select(message))
        assert (refused["__typename"], refused["path"]) == ("NotFound", ["message"])


async def test_a_selection_takes_six_round_trips(ada: FrontEnd, branches: list[dict[str, Any]]) -> None:
    query = "mutation($message: ID!) {selectBranch(message: $message) {__typename}}"
    _, statements = await ada.counted(query, message=branches[1]["userMessage"]["id"])
    # The message, BEGIN, the lock, its leaf, the change with its event, COMMIT.
    assert len(statements) == 6


async def test_the_end_of_a_reply_is_unread_until_it_is_read_or_answered(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.send(HANGS)
    conversation = sent["conversation"]["id"]
    assert await unread(ada, conversation) is False
    await ada.heard(sent["generation"]["id"])
    await ada.stop(sent["generation"]["id"])
    await ada.followed(sent["generation"]["id"])
    assert await unread(ada, conversation) is True
    assert (await ada.mark_read(conversation))["conversation"]["hasUnread"] is False
    assert (await unchanged(gus, ada.mark_read(conversation)))["conversation"]["hasUnread"] is False
    await ada.said(script(words=1), **here(sent))
    assert await unread(ada, conversation) is True
    answer = await ada.send(HANGS, **here(sent))
    assert await unread(ada, conversation) is False
    await ada.stop(answer["generation"]["id"])


async def test_reading_is_no_change_that_lists_go_by(ada: FrontEnd) -> None:
    conversation = (await ada.said(script(words=1)))["conversation"]["id"]
    before = (await ada.ask(STATE, id=conversation))["conversation"]
    after = (await ada.mark_read(conversation))["conversation"]
    assert (after["updatedAt"], after["lastMessageAt"]) == (before["updatedAt"], before["lastMessageAt"])


async def test_the_unread_are_listed(ada: FrontEnd) -> None:
    read, new = [(await ada.said(script(words=1)))["conversation"]["id"] for _ in range(2)]
    await ada.mark_read(read)
    query = "query($unread: Boolean) {viewer {conversations(filter: {unread: $unread}) {nodes {id}}}}"
    for asked, found in ((True, [new]), (False, [read]), (None, [new, read])):
        nodes = (await ada.ask(query, unread=asked))["viewer"]["conversations"]["nodes"]
        assert [node["id"] for node in nodes] == found


async def unread(ada: FrontEnd, conversation: str) -> bool:
    return bool((await ada.ask(STATE, id=conversation))["conversation"]["hasUnread"])
