"""What a message says can be done with it, against what is then really done or refused."""

from typing import Any

import pytest

from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.ids import UNKNOWN

CAN = "query($id: ID!) {message(id: $id) {viewerCan}}"
HANGS = script(words=9, after=3, fault="hang_between")
CUT = script(words=1, finish="length")
OPEN = {"REGENERATE", "RATE", "FORK", "SELECT", "REPLY"}


async def can(ada: FrontEnd, message: dict[str, Any]) -> set[str]:
    return set((await ada.ask(CAN, id=message["id"]))["message"]["viewerCan"])


async def done(ada: FrontEnd, conversation: str, message: str) -> set[str]:
    """What succeeds when everything is tried."""
    run = (await ada.ask("query($id: ID!) {message(id: $id) {generation {id}}}", id=message))["message"]["generation"]
    tried: dict[str, dict[str, Any]] = {
        "STOP": await ada.stop(run["id"]) if run else {},
        "SELECT": await ada.select(message),
        "FORK": await ada.fork(message),
        "RATE": await ada.rate(message, "UP"),
        "EDIT": await ada.edit(message, "Two"),
        "REGENERATE": await ada.regenerate(message),
        "REPLY": await ada.send("Three", conversation=conversation, parent=message),
        "CONTINUE": await ada.go_on(message),
    }
    # A stop that comes too late succeeds as well, and does nothing.
    successes = (action for action, answer in tried.items() if answer.get("alreadyEnded") is not True)
    return {action for action in successes if str(tried[action].get("__typename")).endswith("Success")}


async def test_what_can_be_done_follows_role_and_state(ada: FrontEnd) -> None:
    sent = await ada.said("One")
    assert await can(ada, sent["userMessage"]) == {"EDIT", "FORK", "SELECT", "REPLY"}
    assert await can(ada, sent["reply"]) == OPEN
    await ada.set_state(sent["conversation"]["id"], "PAUSED")
    assert await can(ada, sent["userMessage"]) == {"FORK", "SELECT"}
    assert await can(ada, sent["reply"]) == {"RATE", "FORK", "SELECT"}
    await ada.set_state(sent["conversation"]["id"], "ARCHIVED")
    assert await can(ada, sent["userMessage"]) == {"FORK"}
    assert await can(ada, sent["reply"]) == {"RATE", "FORK"}


async def test_what_is_being_written_can_be_stopped_and_what_was_cut_can_go_on(ada: FrontEnd) -> None:
    running = await ada.send(HANGS)
    await ada.heard(running["generation"]["id"])
    assert await can(ada, running["reply"]) == {*OPEN, "STOP"}
    await ada.set_state(running["conversation"]["id"], "ARCHIVED")
    assert await can(ada, running["reply"]) == {"STOP", "RATE", "FORK"}
    await ada.set_state(running["conversation"]["id"], "ACTIVE")
    await ada.stop(running["generation"]["id"])
    await ada.followed(running["generation"]["id"])
    assert await can(ada, running["reply"]) == {*OPEN, "CONTINUE"}
    assert await can(ada, (await ada.said(CUT))["reply"]) == {*OPEN, "CONTINUE"}
    assert await can(ada, (await ada.said(CUT, settings={"model": "whole"}))["reply"]) == OPEN


@pytest.mark.parametrize("state", ["ACTIVE", "PAUSED", "ARCHIVED"])
@pytest.mark.parametrize(
    ("text", "model"),
    [("One", "scripted"), (CUT, "scripted"), (CUT, "whole"), (script(fault="bad_request"), "scripted")],
)
@pytest.mark.parametrize("which", ["userMessage", "reply"])
async def test_what_is_offered_is_what_is_done(ada: FrontEnd, state: str, text: str, model: str, which: str) -> None:
    sent = await ada.said(text, settings={"model": model})
    await ada.set_state(sent["conversation"]["id"], state)
    offered = await can(ada, sent[which])
    assert offered == await done(ada, sent["conversation"]["id"], sent[which]["id"])


async def test_a_copy_cannot_go_on_and_what_begins_a_fork_cannot_be_regenerated(ada: FrontEnd) -> None:
    sent = await ada.said(CUT)
    fork = (await ada.fork(sent["reply"]["id"]))["conversation"]
    copy = fork["path"]["nodes"][-1]
    assert await can(ada, copy) == OPEN == await done(ada, fork["id"], copy["id"])
    fork = (await ada.fork(sent["reply"]["id"], scope="SUBTREE"))["conversation"]
    root = fork["path"]["nodes"][0]
    assert await can(ada, root) == OPEN - {"REGENERATE"} == await done(ada, fork["id"], root["id"])


async def test_what_can_be_done_with_a_page_of_messages_is_one_statement_more(ada: FrontEnd) -> None:
    sent = await ada.said("One")
    for _ in range(5):
        await ada.said(script(words=1), **here(sent))
    query = "query($id: ID!, $first: Int) {conversation(id: $id) {messages(first: $first) {nodes {viewerCan}}}}"
    few, statements_of_few = await ada.counted(query, id=sent["conversation"]["id"], first=2)
    many, statements_of_many = await ada.counted(query, id=sent["conversation"]["id"], first=12)
    assert [len(page["conversation"]["messages"]["nodes"]) for page in (few, many)] == [2, 12]
    # The conversation, which is then known, and its page; all runs.
    assert len(statements_of_few) == len(statements_of_many) == 3


async def test_nothing_can_be_done_with_what_is_not_there(ada: FrontEnd, bob: FrontEnd) -> None:
    theirs = await bob.said("One")
    for message in (theirs["reply"]["id"], UNKNOWN["Message"]):
        assert (await ada.ask(CAN, id=message))["message"] is None
