"""forkConversation: a conversation of its own, of what another one said."""

import asyncio
from typing import Any

import asyncpg
import pytest

from domain.world import UserId
from resolvers.node import encode, uuid_of
from server.compose import Gus
from tests.graphql.asked import told
from tests.graphql.documents import CONVERSATION_EVENTS, DELETE, VIEWER_EVENTS
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.ids import MALFORMED, UNKNOWN
from tests.graphql.rows import counts, unchanged
from tests.load.planting import plant_line
from tests.model_server import ModelServer

ORIGIN = "query($id: ID!) {conversation(id: $id) {forkedFrom {id} messageCount activeLeaf {id} path {nodes {id text}}}}"
MINE = "{viewer {user {id} activeGenerations {id}}}"


@pytest.fixture
async def origin(ada: FrontEnd) -> list[dict[str, Any]]:
    """q0 - a0, and below a0 two questions with their replies."""
    new = {"title": "Trees", "tags": ["a"], "pinned": True, "settings": {"temperature": 0.5}}
    first = await ada.said("One", newConversation={**new, "contextPolicy": {"strategy": "FAIL"}})
    below = {**here(first), "parent": first["reply"]["id"]}
    return [first, await ada.said("Two", **below), await ada.said("Three", **below)]


async def test_a_fork_says_what_its_origin_says_and_has_done_nothing(
    ada: FrontEnd, origin: list[dict[str, Any]]
) -> None:
    before = (await ada.ask(ORIGIN, id=origin[0]["conversation"]["id"]))["conversation"]
    await ada.rate(origin[1]["reply"]["id"], "UP")
    made = await ada.fork(origin[1]["reply"]["id"])
    fork = made["conversation"]
    assert (made["__typename"], made["replayed"]) == ("ForkConversationSuccess", False)
    assert fork["forkedFrom"] == {"id": origin[1]["reply"]["id"]}
    path = fork.pop("path")["nodes"]
    assert [message["text"] for message in path] == [
        "One",
        before["path"]["nodes"][1]["text"],
        "Two",
        path[-1]["text"],
    ]
    assert fork.pop("activeLeaf") == {"id": path[-1]["id"], "text": path[-1]["text"]}
    assert {message["status"] for message in path} == {"COMPLETE"}
    for message in path:
        assert (message["generation"], message["feedback"], message["idempotencyKey"]) == (None, None, None)
    assert [message["model"] for message in path] == [None, {"key": "scripted"}] * 2
    assert not {message["id"] for message in path} & {message["id"] for message in before["path"]["nodes"]}
    assert [message["receivedAt"] for message in path[::2]] == [
        sent["userMessage"]["receivedAt"] for sent in origin[:2]
    ]
    del fork["id"], fork["forkedFrom"]
    assert fork == {
        "title": "Trees",
        "titleSource": "USER",
        "state": "ACTIVE",
        "version": 1,
        "pinned": False,
        "tags": ["a"],
        "hasUnread": False,
        "messageCount": 4,
        "rootCount": 1,
        "eventSeq": 0,
        "lastMessageAt": None,
        "settings": {"temperature": 0.5},
        "contextPolicy": {"strategy": "FAIL"},
    }
    after = (await ada.ask(ORIGIN, id=origin[0]["conversation"]["id"]))["conversation"]
    assert after == before


async def test_a_fork_is_told_what_its_origin_was_told_and_then_goes_its_own_way(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    first = await ada.said("One", newConversation={"instruction": "Rhyme."})
    await ada.update(first["conversation"]["id"], instruction="Do not rhyme.")
    fork = (await ada.fork(first["reply"]["id"]))["conversation"]["id"]
    await ada.update(first["conversation"]["id"], instruction="Be short.")
    query = "query($id: ID!) {conversation(id: $id) {instruction version}}"
    assert (await ada.ask(query, id=fork))["conversation"] == {"instruction": "Do not rhyme.", "version": 1}
    await ada.said("Two", conversation=fork)
    assert "> Do not rhyme." in told(model_server)[0]
    await ada.update(fork, instruction=None)
    fork = (await ada.fork((await ada.said("Three", conversation=fork))["reply"]["id"]))["conversation"]["id"]
    assert (await ada.ask(query, id=fork))["conversation"]["instruction"] is None


async def test_a_scope_takes_siblings_along_or_begins_where_it_is_told(
    ada: FrontEnd, origin: list[dict[str, Any]]
) -> None:
    wide = (await ada.fork(origin[1]["userMessage"]["id"], scope="PATH_AND_SIBLINGS"))["conversation"]
    assert (wide["messageCount"], [message["text"] for message in wide["path"]["nodes"]][::2]) == (4, ["One", "Two"])
    below = (await ada.fork(origin[0]["reply"]["id"], scope="SUBTREE", title="Leaves"))["conversation"]
    assert (below["messageCount"], below["rootCount"], below["title"]) == (5, 1, "Leaves")
    assert [message["role"] for message in below["path"]["nodes"]] == ["ASSISTANT", "USER", "ASSISTANT"]
    assert below["path"]["nodes"][1]["text"] == "Three"


async def test_talk_goes_on_in_both(ada: FrontEnd, origin: list[dict[str, Any]]) -> None:
    fork = (await ada.fork(origin[1]["reply"]["id"]))["conversation"]
    sent = await ada.said("Four", conversation=fork["id"])
    assert sent["userMessage"]["parent"] == {"id": fork["path"]["nodes"][-1]["id"]}
    assert (await ada.said("Five", **here(origin[0])))["conversation"]["messageCount"] == 8
    assert sent["conversation"]["messageCount"] == 6


async def test_what_is_being_written_is_copied_as_it_stands_and_cannot_be_continued(ada: FrontEnd) -> None:
    running = await ada.send(script(words=9, after=3, fault="hang_between"))
    await ada.heard(running["generation"]["id"])
    fork = (await ada.fork(running["reply"]["id"]))["conversation"]
    copy = fork["path"]["nodes"][-1]
    assert (copy["status"], copy["text"].count("w")) == ("INTERRUPTED", 3)
    refused = await ada.go_on(copy["id"])
    assert (refused["__typename"], refused["currentReply"]["id"]) == ("NotContinuable", copy["id"])
    assert [run["id"] for run in (await ada.ask(MINE))["viewer"]["activeGenerations"]] == [running["generation"]["id"]]
    await ada.stop(running["generation"]["id"])


async def test_the_origin_of_a_fork_is_null_when_it_was_deleted(ada: FrontEnd, origin: list[dict[str, Any]]) -> None:
    fork = (await ada.fork(origin[1]["reply"]["id"]))["conversation"]
    await ada.ask(DELETE, **here(origin[0]))
    found = (await ada.ask(ORIGIN, id=fork["id"]))["conversation"]
    assert (found["forkedFrom"], found["messageCount"]) == (None, 4)
    refused = await ada.fork(origin[1]["reply"]["id"])
    assert (refused["__typename"], refused["path"]) == ("NotFound", ["input", "message"])


async def test_archived_conversations_are_forked_into_active_ones(ada: FrontEnd, origin: list[dict[str, Any]]) -> None:
    await ada.set_state(origin[0]["conversation"]["id"], "ARCHIVED")
    assert (await ada.fork(origin[1]["reply"]["id"]))["conversation"]["state"] == "ACTIVE"


async def test_the_same_key_forks_once(ada: FrontEnd, gus: Gus, origin: list[dict[str, Any]]) -> None:
    message = origin[1]["reply"]["id"]
    twins = await asyncio.gather(*(ada.fork(message, idempotencyKey="k") for _ in range(10)))
    assert sorted(twin["replayed"] for twin in twins) == [False] + [True] * 9
    assert len({twin["conversation"]["id"] for twin in twins}) == 1
    again = await unchanged(gus, ada.fork(message, idempotencyKey="k", scope="PATH"))
    assert again["conversation"]["id"] == twins[0]["conversation"]["id"]
    other = await unchanged(gus, ada.fork(message, idempotencyKey="k", scope="SUBTREE"))
    assert (other["__typename"], other["idempotencyKey"]) == ("KeyReused", "k")
    await ada.ask(DELETE, conversation=again["conversation"]["id"])
    gone = await unchanged(gus, ada.fork(message, idempotencyKey="k"))
    assert (gone["__typename"], gone["path"]) == ("NotFound", ["input", "idempotencyKey"])


async def test_rules_and_unknown_messages_are_refused(ada: FrontEnd, bob: FrontEnd, gus: Gus) -> None:
    mine, theirs = await ada.said("One"), await bob.said("One")
    refused = await unchanged(gus, ada.fork(mine["reply"]["id"], title=" ", idempotencyKey=""))
    assert [(problem["rule"], ".".join(problem["path"])) for problem in refused["problems"]] == [
        ("EMPTY", "input.idempotencyKey"),
        ("EMPTY", "input.title"),
    ]
    for message in (theirs["reply"]["id"], mine["conversation"]["id"], UNKNOWN["Message"], *MALFORMED):
        refused = await unchanged(gus, ada.fork(message))
        assert (refused["__typename"], refused["path"]) == ("NotFound", ["input", "message"])


async def test_one_fork_and_all_forks_of_a_user_have_their_limits(
    ada: FrontEnd, gus: Gus, database_url: str, origin: list[dict[str, Any]]
) -> None:
    owner = uuid_of("User", (await ada.ask(MINE))["viewer"]["user"]["id"])
    assert owner is not None
    connection = await asyncpg.connect(database_url)
    planted = await plant_line(connection, UserId(owner), 10_001)
    await connection.close()
    refused = await unchanged(gus, ada.fork(encode("Message", planted.leaf)))
    assert (refused["__typename"], refused["resource"]) == ("LimitReached", "FORKED_MESSAGES")
    assert (refused["active"], refused["limit"]) == (10_001, 10_000)
    fork = (await ada.fork(origin[1]["reply"]["id"]))["conversation"]
    await gus.database.execute("UPDATE conversations SET forked_count = 99_997 WHERE forked_count = 4")
    refused = await ada.fork(origin[1]["reply"]["id"])
    assert (refused["active"], refused["limit"]) == (99_997, 100_000)
    await ada.ask(DELETE, conversation=fork["id"])
    assert (await ada.fork(origin[1]["reply"]["id"]))["__typename"] == "ForkConversationSuccess"


async def test_a_fork_copies_no_runs_and_no_usage(ada: FrontEnd, gus: Gus, origin: list[dict[str, Any]]) -> None:
    before = await counts(gus.database)
    await ada.fork(origin[1]["reply"]["id"], scope="PATH_AND_SIBLINGS")
    after = await counts(gus.database)
    more = {"idempotency_keys": 1, "conversations": 1, "branches": 2, "messages": 5, "conversation_events": 1}
    assert {table: after[table] - before[table] for table in after if after[table] != before[table]} == more


async def test_a_fork_keeps_what_was_counted(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.said(script(words=3), settings={"model": "counted"})
    await ada.fork(sent["reply"]["id"])
    rows = await gus.database.fetch("SELECT role, tokens->>'scripted' AS tokens FROM messages ORDER BY role, id")
    assert [tuple(row) for row in rows] == [("ASSISTANT", "3")] * 2 + [("USER", "2")] * 2


async def test_the_sidebar_hears_of_a_fork_and_it_can_be_watched(ada: FrontEnd, origin: list[dict[str, Any]]) -> None:
    async with ada.watching(VIEWER_EVENTS) as events:
        await anext(events)
        fork = (await ada.fork(origin[1]["reply"]["id"]))["conversation"]["id"]
        assert (await anext(events))["conversation"]["id"] == fork
    async with ada.watching(CONVERSATION_EVENTS, conversation=fork, after=0) as events:
        await ada.send("Four", conversation=fork)
        assert (await anext(events))["__typename"] == "MessageAdded"


async def test_a_fork_takes_ten_round_trips(ada: FrontEnd, origin: list[dict[str, Any]]) -> None:
    query = "mutation($input: ForkConversationInput!) {forkConversation(input: $input) {__typename}}"
    given = {"message": origin[1]["reply"]["id"], "idempotencyKey": "k"}
    _, statements = await ada.counted(query, input=given)
    # The key, the message, its conversation; BEGIN, the locks, the count, the conversation, its instruction, the copy, COMMIT.
    assert len(statements) == 10
