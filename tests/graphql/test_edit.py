"""editMessage and regenerateReply: siblings of what stands, which is never altered."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server.compose import Gus
from tests.graphql.asked import told
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.ids import MALFORMED, UNKNOWN
from tests.graphql.rows import unchanged
from tests.model_server import ModelServer

HANGS = script(words=9, after=3, fault="hang_between")

TREE = """
query($id: ID!) {
  conversation(id: $id) {
    rootCount messageCount activeLeaf {id}
    messages(first: 100) {nodes {id text status siblingIndex childCount depth parent {id}}}
  }
}
"""
SIBLINGS = "query($id: ID!) {message(id: $id) {siblings(first: 100) {nodes {id siblingIndex}} siblingCount}}"


async def tree(ada: FrontEnd, sent: dict[str, Any]) -> dict[str, Any]:
    return dict((await ada.ask(TREE, id=sent["conversation"]["id"]))["conversation"])


async def ended(ada: FrontEnd, started: dict[str, Any]) -> dict[str, Any]:
    assert started["__typename"] == "SendMessageSuccess", started
    return (await ada.followed(started["generation"]["id"]))[-1]


async def test_an_edit_is_a_sibling_with_a_reply_of_its_own(ada: FrontEnd, model_server: ModelServer) -> None:
    first = await ada.said("One")
    second = await ada.said("Two", **here(first))
    before = await tree(ada, first)
    edited = await ada.edit(second["userMessage"]["id"], "Three", idempotencyKey="k")
    assert (await ended(ada, edited))["status"] == "COMPLETED"
    said, reply = edited["userMessage"], edited["reply"]
    assert (said["text"], said["role"], said["siblingIndex"], said["depth"]) == ("Three", "USER", 2, 2)
    assert (said["parent"], said["idempotencyKey"]) == ({"id": first["reply"]["id"]}, "k")
    assert (reply["role"], reply["parent"]) == ("ASSISTANT", {"id": said["id"]})
    assert (edited["generation"]["trigger"], edited["replayed"]) == ("EDIT", False)
    assert edited["conversation"]["activeLeaf"] == {"id": reply["id"]}
    assert told(model_server) == ["One", model_server.seen[0].text, "Three"]
    after = await tree(ada, first)
    counted = {"childCount": 2}
    assert after["messages"]["nodes"][:4] == [
        {**message, **(counted if message["id"] == first["reply"]["id"] else {})}
        for message in before["messages"]["nodes"]
    ]


async def test_an_edit_of_the_first_message_is_another_root(ada: FrontEnd, model_server: ModelServer) -> None:
    first = await ada.said("One")
    edited = await ada.edit(first["userMessage"]["id"], "Two")
    assert (edited["userMessage"]["parent"], edited["userMessage"]["siblingIndex"]) == (None, 2)
    await ended(ada, edited)
    assert told(model_server) == ["Two"]
    assert (await tree(ada, first))["rootCount"] == 2


async def test_a_regeneration_is_another_answer_to_the_same_message(ada: FrontEnd, model_server: ModelServer) -> None:
    first = await ada.said("One")
    before = (await tree(ada, first))["messages"]["nodes"]
    other = await ada.regenerate(first["reply"]["id"])
    assert (await ended(ada, other))["status"] == "COMPLETED"
    assert other["userMessage"]["id"] == first["userMessage"]["id"]
    assert (other["reply"]["siblingIndex"], other["reply"]["parent"]) == (2, {"id": first["userMessage"]["id"]})
    assert other["generation"]["trigger"] == "REGENERATE"
    assert other["conversation"]["activeLeaf"] == {"id": other["reply"]["id"]}
    assert told(model_server, 0) == told(model_server, 1) == ["One"]
    after = await tree(ada, first)
    assert (after["messageCount"], after["messages"]["nodes"][1]) == (3, before[1])


async def test_a_regeneration_is_asked_for_as_the_old_reply_was_where_it_says_nothing_else(ada: FrontEnd) -> None:
    settings = {"model": "other", "temperature": 0.5, "topP": 0.25, "maxOutputTokens": 9, "seed": 1, "stop": ["a"]}
    first = await ada.said("One", settings=settings)
    await ada.update(first["conversation"]["id"], settings={"temperature": 2.0, "seed": 7})
    same = await ada.regenerate(first["reply"]["id"])
    assert same["generation"]["settings"] == first["generation"]["settings"]
    hotter = await ada.regenerate(first["reply"]["id"], settings={"temperature": 1.0, "model": None})
    assert hotter["generation"]["settings"] == {**first["generation"]["settings"], "temperature": 1.0}


async def test_an_edit_is_asked_for_as_the_conversation_says(ada: FrontEnd) -> None:
    first = await ada.said("One", settings={"temperature": 0.5})
    await ada.update(first["conversation"]["id"], settings={"seed": 7})
    edited = await ada.edit(first["userMessage"]["id"], "Two", settings={"topP": 0.5})
    settings = edited["generation"]["settings"]
    assert (settings["temperature"], settings["seed"], settings["topP"]) == (None, 7, 0.5)


async def test_what_is_being_written_is_regenerated_beside_itself(ada: FrontEnd) -> None:
    running = await ada.send(HANGS)
    await ada.heard(running["generation"]["id"])
    other = await ada.regenerate(running["reply"]["id"])
    await ada.heard(other["generation"]["id"])
    assert [await status(ada, started) for started in (running, other)] == ["RUNNING", "RUNNING"]


async def test_a_copy_is_edited_and_regenerated_but_not_where_it_begins_a_fork(ada: FrontEnd, gus: Gus) -> None:
    first = await ada.said("One")
    second = await ada.said("Two", **here(first))
    copies = (await ada.fork(second["reply"]["id"], scope="PATH"))["conversation"]["path"]["nodes"]
    assert (await ada.regenerate(copies[3]["id"]))["reply"]["siblingIndex"] == 2
    assert (await ada.edit(copies[2]["id"], "Three"))["userMessage"]["siblingIndex"] == 2
    root = (await ada.fork(first["reply"]["id"], scope="SUBTREE"))["conversation"]["path"]["nodes"][0]
    refused = await unchanged(gus, ada.regenerate(root["id"]))
    assert [(problem["rule"], problem["path"]) for problem in refused["problems"]] == [
        ("WRONG_ROLE", ["input", "reply"])
    ]


Start = Callable[[FrontEnd, str, dict[str, Any]], Coroutine[None, None, dict[str, Any]]]

# How it is called, how its input names the message, and a message that it takes.
BOTH: list[tuple[Start, str, str]] = [
    (lambda ada, id, given: ada.edit(id, given.pop("text", "Again"), **given), "message", "userMessage"),
    (lambda ada, id, given: ada.regenerate(id, **given), "reply", "reply"),
]
both = pytest.mark.parametrize(("start", "name", "takes"), BOTH, ids=["edit", "regenerate"])


@both
async def test_rules_are_told_all_at_once(ada: FrontEnd, gus: Gus, start: Start, name: str, takes: str) -> None:
    first = await ada.said("One")
    wrong = first["reply" if takes == "userMessage" else "userMessage"]["id"]
    given = {"idempotencyKey": "", "settings": {"temperature": 3}}
    refused = await unchanged(gus, start(ada, wrong, {**given, **({"text": " "} if name == "message" else {})}))
    empty = [("EMPTY", "input.text")] if name == "message" else []
    assert [(problem["rule"], ".".join(problem["path"])) for problem in refused["problems"]] == [
        ("EMPTY", "input.idempotencyKey"),
        ("OUT_OF_RANGE", "input.settings.temperature"),
        *empty,
        ("WRONG_ROLE", f"input.{name}"),
    ]


@both
async def test_unknown_malformed_and_foreign_messages_are_answered_alike(
    ada: FrontEnd, bob: FrontEnd, gus: Gus, start: Start, name: str, takes: str
) -> None:
    theirs = await bob.said("One")
    for message in (theirs[takes]["id"], theirs["conversation"]["id"], UNKNOWN["Message"], *MALFORMED):
        refused = await unchanged(gus, start(ada, message, {}))
        assert (refused["__typename"], refused["path"]) == ("NotFound", ["input", name])


@both
async def test_paused_and_archived_conversations_refuse(
    ada: FrontEnd, gus: Gus, start: Start, name: str, takes: str
) -> None:
    first = await ada.said("One")
    for state in ("PAUSED", "ARCHIVED"):
        await ada.set_state(first["conversation"]["id"], state)
        refused = await unchanged(gus, start(ada, first[takes]["id"], {}))
        assert (refused["__typename"], refused["state"]) == ("ConversationClosed", state)


@both
async def test_the_same_key_starts_once(ada: FrontEnd, gus: Gus, start: Start, name: str, takes: str) -> None:
    first = await ada.said("One")
    twins = await asyncio.gather(*(start(ada, first[takes]["id"], {"idempotencyKey": "k"}) for _ in range(10)))
    assert sorted(twin["replayed"] for twin in twins) == [False] + [True] * 9
    assert len({twin["reply"]["id"] for twin in twins}) == 1
    await ended(ada, twins[0])
    other = await unchanged(gus, start(ada, first[takes]["id"], {"idempotencyKey": "k", "settings": {"seed": 1}}))
    assert (other["__typename"], other["idempotencyKey"]) == ("KeyReused", "k")


@both
async def test_below_a_reply_that_is_being_written_it_is_busy_or_waits_or_interrupts(
    ada: FrontEnd, start: Start, name: str, takes: str
) -> None:
    running = await ada.send(HANGS)
    await ada.heard(running["generation"]["id"])
    below = await ada.send("Two", **here(running), onBusy="ENQUEUE")
    refused = await start(ada, below[takes]["id"], {})
    assert (refused["__typename"], refused["activeGeneration"]["id"]) == (
        "ConversationBusy",
        running["generation"]["id"],
    )
    waiting = await start(ada, below[takes]["id"], {"onBusy": "ENQUEUE"})
    assert (waiting["generation"]["status"], waiting["reply"]["status"]) == ("QUEUED", "PENDING")
    started = await start(ada, below[takes]["id"], {"onBusy": "INTERRUPT"})
    for one in (below, waiting, started):
        assert (await ended(ada, one))["status"] == "COMPLETED"
    assert await status(ada, running) == "STOPPED"
    assert started[takes]["siblingIndex"] == 3


async def test_an_edit_that_may_branch_stands_beside_what_is_being_answered(ada: FrontEnd) -> None:
    running = await ada.send(HANGS)
    await ada.heard(running["generation"]["id"])
    below = await ada.send("Two", **here(running), onBusy="ENQUEUE")
    beside = await ada.edit(below["userMessage"]["id"], "Three", onBusy="BRANCH")
    assert (beside["userMessage"]["parent"], beside["userMessage"]["siblingIndex"]) == (None, 2)
    assert (await ended(ada, beside))["status"] == "COMPLETED"
    refused = await ada.regenerate(below["reply"]["id"], onBusy="BRANCH")
    assert refused["__typename"] == "ConversationBusy"
    await ada.stop(running["generation"]["id"])


@both
async def test_it_takes_the_statements_of_a_send(ada: FrontEnd, start: Start, name: str, takes: str) -> None:
    first = await ada.said("One")
    mutation = "editMessage" if name == "message" else "regenerateReply"
    kind = mutation[0].upper() + mutation[1:]
    query = f"mutation($input: {kind}Input!) {{{mutation}(input: $input) {{__typename}}}}"
    given = {name: first[takes]["id"], "idempotencyKey": "k", **({"text": "Two"} if name == "message" else {})}
    _, statements = await ada.counted(query, input=given)
    # The message, the conversation; for a regeneration the old run, and what it answers; instructions; BEGIN, what is
    # reserved, the lock, a look at what is answered (there is none above a new root), all that is written, COMMIT.
    assert len(statements) == (8 if name == "message" else 11)


async def status(ada: FrontEnd, started: dict[str, Any]) -> str:
    query = "query($id: ID!) {generation(id: $id) {status}}"
    return str((await ada.ask(query, id=started["generation"]["id"]))["generation"]["status"])
