"""createConversation and deleteConversation."""

from typing import Any

from domain.world import RealWorld
from repositories.conversation.store import SqlConversations
from resolvers.node import uuid_of
from server.compose import Gus
from tests.graphql.documents import DELETE, FOLLOW, VIEWER_EVENTS
from tests.graphql.front_end import FrontEnd, script
from tests.graphql.ids import MALFORMED, UNKNOWN
from tests.graphql.rows import contents, counts, unchanged
from tests.waiting import until

CONVERSATION = """
query($id: ID!) {
  conversation(id: $id) {
    owner { id displayName role } title titleSource state version pinned tags messageCount rootCount
    createdAt updatedAt lastMessageAt activeLeaf { id }
    settings { model { key } temperature topP maxOutputTokens seed stop }
  }
}
"""

EVERYWHERE = """
query($conversation: ID!, $message: ID!, $generation: ID!) {
  conversation(id: $conversation) { id }
  message(id: $message) { id }
  generation(id: $generation) { id }
  nodes(ids: [$conversation, $message, $generation]) { id }
  viewer { conversations { nodes { id } } activeGenerations { id } }
}
"""


async def deleted(ada: FrontEnd, conversation: str) -> dict[str, Any]:
    return dict((await ada.ask(DELETE, conversation=conversation))["deleteConversation"])


async def test_a_conversation_is_opened_as_asked_for(ada: FrontEnd) -> None:
    settings = {"model": "other", "temperature": 2.0, "topP": 0.0, "maxOutputTokens": 1, "seed": -1, "stop": ["a", "b"]}
    made = await ada.create(title="Trees", tags=["b", "a", "b"], pinned=True, settings=settings)
    assert (made["__typename"], made["replayed"]) == ("CreateConversationSuccess", False)
    conversation = (await ada.ask(CONVERSATION, id=made["conversation"]["id"]))["conversation"]
    owner = (await ada.ask("{viewer {user {id displayName role}}}"))["viewer"]["user"]
    assert conversation["createdAt"] == conversation.pop("updatedAt")
    assert conversation.pop("createdAt").endswith("Z")
    assert conversation == {
        "owner": owner,
        "title": "Trees",
        "titleSource": "USER",
        "state": "ACTIVE",
        "version": 1,
        "pinned": True,
        "tags": ["b", "a"],
        "messageCount": 0,
        "rootCount": 0,
        "lastMessageAt": None,
        "activeLeaf": None,
        "settings": {**settings, "model": {"key": "other"}},
    }


async def test_null_and_absent_mean_the_same(ada: FrontEnd) -> None:
    names = ("model", "temperature", "topP", "maxOutputTokens", "seed", "stop")
    nulls = {"title": None, "tags": None, "pinned": None, "settings": dict.fromkeys(names)}
    variants: list[dict[str, Any]] = [{}, nulls, {"settings": None}, {"settings": {}}]
    for given in variants:
        made = await ada.create(**given)
        conversation = (await ada.ask(CONVERSATION, id=made["conversation"]["id"]))["conversation"]
        assert (conversation["title"], conversation["titleSource"], conversation["tags"]) == (None, "NONE", [])
        assert (conversation["pinned"], conversation["settings"]) == (False, dict.fromkeys(names))


async def test_the_same_key_opens_one_conversation_also_where_nulls_are_written_out(ada: FrontEnd, gus: Gus) -> None:
    first = await ada.create(idempotencyKey="k", tags=["a"])
    again = await unchanged(gus, ada.create(idempotencyKey="k", tags=["a"], title=None, pinned=False, settings={}))
    assert (again["replayed"], again["conversation"]["id"]) == (True, first["conversation"]["id"])
    other = await unchanged(gus, ada.create(idempotencyKey="k", tags=["b"]))
    assert (other["__typename"], other["idempotencyKey"]) == ("KeyReused", "k")


async def test_rules_are_told_all_at_once_and_nothing_is_opened(ada: FrontEnd, gus: Gus) -> None:
    given = {"title": " ", "tags": ["", "t" * 51], "settings": {"topP": 2, "stop": ["s" * 65]}}
    refused = await unchanged(gus, ada.create(idempotencyKey="", **given))
    assert (refused["__typename"], refused["code"]) == ("InvalidInput", "INVALID_INPUT")
    assert [(problem["rule"], ".".join(problem["path"])) for problem in refused["problems"]] == [
        ("EMPTY", "input.idempotencyKey"),
        ("EMPTY", "input.title"),
        ("EMPTY", "input.tags.0"),
        ("TOO_LONG", "input.tags.1"),
        ("OUT_OF_RANGE", "input.settings.topP"),
        ("TOO_LONG", "input.settings.stop.0"),
    ]


async def test_a_deleted_conversation_is_nowhere(ada: FrontEnd) -> None:
    sent = await ada.said(script(words=1))
    answer = await deleted(ada, sent["conversation"]["id"])
    assert answer == {
        "__typename": "DeleteConversationSuccess",
        "deletedConversation": sent["conversation"]["id"],
    }
    ids = {"conversation": sent["conversation"]["id"], "message": sent["reply"]["id"]}
    assert await ada.ask(EVERYWHERE, **ids, generation=sent["generation"]["id"]) == {
        "conversation": None,
        "message": None,
        "generation": None,
        "nodes": [None, None, None],
        "viewer": {"conversations": {"nodes": []}, "activeGenerations": []},
    }


async def test_unknown_malformed_foreign_and_deleted_conversations_are_answered_alike(
    ada: FrontEnd, bob: FrontEnd, gus: Gus
) -> None:
    theirs, gone = (await bob.create())["conversation"]["id"], (await ada.create())["conversation"]["id"]
    await deleted(ada, gone)
    for conversation in (theirs, gone, UNKNOWN["Conversation"], *MALFORMED):
        assert await unchanged(gus, deleted(ada, conversation)) == {
            "__typename": "NotFound",
            "code": "NOT_FOUND",
            "message": "There is no such conversation: it never existed, was deleted, or is not yours.",
            "retryable": False,
            "retryAfter": None,
            "path": ["conversation"],
        }


async def test_a_created_conversation_that_was_deleted_since_is_not_found_under_its_key(
    ada: FrontEnd, gus: Gus
) -> None:
    made = await ada.create(idempotencyKey="k")
    await deleted(ada, made["conversation"]["id"])
    again = await unchanged(gus, ada.create(idempotencyKey="k"))
    assert (again["__typename"], again["path"]) == ("NotFound", ["input", "idempotencyKey"])


async def test_deleting_stops_the_run_and_settles_it(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.send(script(fault="hang_first"))
    async with ada.following(sent["generation"]["id"]) as events:
        assert (await anext(events))["__typename"] == "GenerationStarted"
        await deleted(ada, sent["conversation"]["id"])
    await until_ended(gus)
    [run] = await gus.database.fetch("SELECT status, finish_reason FROM generations")
    assert tuple(run) == ("STOPPED", "CANCELLED")


async def test_a_deleted_conversation_is_purged_whole(ada: FrontEnd, gus: Gus) -> None:
    before = await counts(gus.database)
    sent = await ada.said(script(words=1))
    await ada.said(script(words=1), conversation=sent["conversation"]["id"], parent=sent["userMessage"]["id"])
    await deleted(ada, sent["conversation"]["id"])
    await until("the conversation is purged", lambda: purged(gus))
    # What happened in it outlives it for a while, and what it cost for ever; its windows are one more if the minute turned.
    kept = {"idempotency_keys": 2, "users": 1, "api_keys": 1, "conversation_events": 10, "ledger_entries": 4}
    after = await counts(gus.database)
    assert after == {**before, **kept, "quota_windows": after["quota_windows"]}


async def until_ended(gus: Gus) -> None:
    async def ended() -> bool:
        return not await gus.database.fetch("SELECT 1 FROM generations WHERE ended_at IS NULL")

    await until("all runs have ended", ended)


async def purged(gus: Gus) -> bool:
    await SqlConversations(gus.database, RealWorld()).purge_deleted(500)
    return not (await contents(gus.database))["conversations"]


async def test_the_stream_of_a_deleted_conversation_completes_without_an_end(ada: FrontEnd) -> None:
    sent = await ada.send(script(words=9, after=3, fault="hang_between"))
    before = await ada.heard(sent["generation"]["id"])
    async with ada.following(sent["generation"]["id"], before[-2]["seq"]) as stream:
        assert await anext(stream) == before[-1]
        await deleted(ada, sent["conversation"]["id"])
        assert [event async for event in stream] == []
    assert await ada.stream_refused(FOLLOW, generation=sent["generation"]["id"]) == ["NOT_FOUND"]


async def test_what_a_run_does_between_the_deletion_and_its_stop_is_no_error_of_its_stream(
    ada: FrontEnd, gus: Gus
) -> None:
    sent = await ada.send(script(words=9, after=3, fault="hang_between"))
    before = await ada.heard(sent["generation"]["id"])
    told = "subscription($id: ID!, $after: Int!) {generationEvents(generation: $id, after: $after) {generation {id}}}"
    async with ada.watching(told, id=sent["generation"]["id"], after=before[-1]["seq"] - 1) as stream:
        await anext(stream)
        await gus.database.execute("UPDATE conversations SET deleted_at = now()")
        await gus.database.execute("UPDATE generations SET stop_requested_at = now()")
        assert [event async for event in stream] == []


async def test_the_sidebar_hears_nothing_of_a_conversation_that_is_gone(ada: FrontEnd, gus: Gus) -> None:
    async with ada.watching(VIEWER_EVENTS) as events:
        assert (await anext(events))["__typename"] == "ViewerSnapshot"
        gone, kept = [(await ada.create())["conversation"]["id"] for _ in range(2)]
        assert {(await anext(events))["conversation"]["id"] for _ in range(2)} == {gone, kept}
        await gus.database.execute(
            "UPDATE conversations SET deleted_at = now() WHERE id = $1", uuid_of("Conversation", gone)
        )
        await gus.database.execute("UPDATE conversation_events SET seq = seq + 1, at = now()")
        assert (await anext(events))["conversation"]["id"] == kept
