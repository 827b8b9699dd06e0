"""sendMessage: what it stores, where, and that a key is answered once."""

from uuid import uuid4

from server.compose import Gus
from tests.graphql.asked import told
from tests.graphql.documents import SEND
from tests.graphql.front_end import FrontEnd, here, outlined, script
from tests.graphql.rows import contents, counts
from tests.model_server import ModelServer

LEAN = """
mutation($input: SendMessageInput!) {
  sendMessage(input: $input) {
    ... on SendMessageSuccess { conversation {id} userMessage {id text} reply {id status} generation {id status} }
  }
}
"""


async def test_a_send_opens_a_conversation_in_one_transaction(ada: FrontEnd, gus: Gus) -> None:
    sent, statements = await ada.counted(SEND, input={"text": script(fault="hang_first"), "idempotencyKey": "k"})
    assert sent["sendMessage"]["__typename"] == "SendMessageSuccess"
    assert (outlined(statements).count("BEGIN"), outlined(statements).count("COMMIT")) == (1, 1)
    expected = {"conversations": 1, "branches": 1, "messages": 2, "feedback": 0, "conversation_events": 4}
    run = {"generations": 1, "generation_events": 1}
    before = {"idempotency_keys": 1, "users": 1, "api_keys": 1, "guest_days": 0, "models": 0, "instructions": 0}
    # A user's and an API key's minute, hour, day, month and all time.
    money = {"quota_windows": 10, "quota_overrides": 0, "ledger_entries": 0}
    assert await counts(gus.database) == {**expected, **run, **before, **money}


async def test_a_new_conversation_is_as_the_send_says(ada: FrontEnd) -> None:
    new = {"title": "Trees", "tags": ["wood", "wood", "green"], "pinned": True, "settings": {"temperature": 0.5}}
    sent = await ada.said(script(words=1), newConversation=new)
    assert sent["conversation"] == {
        "id": sent["conversation"]["id"],
        "title": "Trees",
        "tags": ["wood", "green"],
        "pinned": True,
        "messageCount": 2,
        "rootCount": 1,
        "settings": {"temperature": 0.5},
        "activeLeaf": {"id": sent["reply"]["id"]},
    }


async def test_the_message_and_its_reply_stand_in_the_tree_at_once(ada: FrontEnd) -> None:
    sent = await ada.send(script(fault="hang_first"), idempotencyKey="bubble")
    said, reply = sent["userMessage"], sent["reply"]
    assert (said["role"], said["status"], said["depth"], said["siblingIndex"]) == ("USER", "COMPLETE", 0, 1)
    assert (said["parent"], said["idempotencyKey"]) == (None, "bubble")
    assert (reply["role"], reply["status"], reply["depth"], reply["siblingIndex"]) == ("ASSISTANT", "STREAMING", 1, 1)
    assert (reply["parent"], reply["text"]) == ({"id": said["id"]}, "")
    assert (sent["generation"]["status"], sent["generation"]["lastSeq"]) == ("RUNNING", 1)


async def test_the_next_send_answers_the_active_leaf_and_the_model_is_told_the_path(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    first = await ada.said(script(say=["Wood."]))
    second = await ada.said("And leaves?", conversation=first["conversation"]["id"])
    assert second["userMessage"]["parent"] == {"id": first["reply"]["id"]}
    assert second["conversation"]["messageCount"] == 4
    assert told(model_server) == [script(say=["Wood."]), "Wood.", "And leaves?"]


async def test_sends_under_one_parent_are_siblings_with_dense_indexes(ada: FrontEnd) -> None:
    first = await ada.said(script(words=1))
    below = {"conversation": first["conversation"]["id"], "parent": first["reply"]["id"]}
    sent = [await ada.said(script(words=1), **below) for _ in range(3)]
    assert [one["userMessage"]["siblingIndex"] for one in sent] == [1, 2, 3]
    assert {one["userMessage"]["parent"]["id"] for one in sent} == {first["reply"]["id"]}
    assert sent[2]["conversation"]["activeLeaf"] == {"id": sent[2]["reply"]["id"]}


async def test_a_send_under_a_user_message_stands_beside_its_reply(ada: FrontEnd, model_server: ModelServer) -> None:
    first = await ada.said("One")
    beside = await ada.said("Two", conversation=first["conversation"]["id"], parent=first["userMessage"]["id"])
    assert beside["userMessage"]["siblingIndex"] == 2
    assert told(model_server) == ["One\n\nTwo"]


async def test_settings_of_a_send_go_over_the_conversations_field_by_field(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    kept = {"temperature": 0.5, "topP": 0.75, "stop": ["END"], "seed": 7, "maxOutputTokens": 99}
    first = await ada.said(script(words=1), newConversation={"settings": kept})
    here = {"conversation": first["conversation"]["id"]}
    second = await ada.said(script(words=1), **here, settings={"model": "other", "temperature": 0.0, "stop": []})
    applied = {"temperature": 0.0, "topP": 0.75, "stop": [], "seed": 7, "maxOutputTokens": 99}
    assert second["generation"]["settings"] == {**applied, "model": {"key": "other"}}
    asked = model_server.seen[-1].body
    assert (asked["temperature"], asked["top_p"], asked["seed"], asked["max_tokens"]) == (0.0, 0.75, 7, 99)
    assert "stop" not in asked


async def test_the_clients_clock_is_kept_where_it_gave_one(ada: FrontEnd) -> None:
    assert (await ada.send("Hello", sentAt="2026-01-02T03:04:05+02:00"))["userMessage"][
        "sentAt"
    ] == "2026-01-02T01:04:05.000Z"
    assert (await ada.send("Hello", sentAt=None))["userMessage"]["sentAt"] is None


async def test_a_clients_clock_far_ahead_is_held_back_to_five_minutes(ada: FrontEnd) -> None:
    sent = await ada.send(script(words=1), sentAt="2999-01-01T00:00:00Z")
    query = "query($id: ID!) {message(id: $id) {sentAt receivedAt}}"
    message = (await ada.ask(query, id=sent["userMessage"]["id"]))["message"]
    assert message["sentAt"] > message["receivedAt"]
    assert message["sentAt"] < "2999"


async def test_a_repeated_send_answers_with_the_entities_as_they_are_now(
    ada: FrontEnd, gus: Gus, model_server: ModelServer
) -> None:
    first = await ada.said(script(words=2), idempotencyKey="once")
    before = await contents(gus.database)
    again = await ada.send(script(words=2), idempotencyKey="once", sentAt="2026-01-01T00:00:00Z")
    assert (first["replayed"], again["replayed"]) == (False, True)
    for entity in ("conversation", "userMessage", "reply", "generation"):
        assert again[entity]["id"] == first[entity]["id"]
    assert (again["generation"]["status"], again["reply"]["status"]) == ("COMPLETED", "COMPLETE")
    assert again["reply"]["text"] == model_server.seen[0].text
    assert len(model_server.seen) == 1
    assert await contents(gus.database) == before


async def test_a_repeated_send_is_answered_while_its_own_run_makes_the_path_busy(ada: FrontEnd) -> None:
    first = await ada.said(script(words=1))
    here = {"conversation": first["conversation"]["id"], "expectedLeaf": first["reply"]["id"]}
    second = await ada.send(script(fault="hang_first"), idempotencyKey="twice", **here)
    again = await ada.send(script(fault="hang_first"), idempotencyKey="twice", **here)
    assert (again["replayed"], again["reply"]["id"]) == (True, second["reply"]["id"])


async def test_a_repeated_send_is_answered_where_a_new_one_would_be_refused(ada: FrontEnd) -> None:
    first = await ada.said(script(words=1))
    second = await ada.said(script(words=1), idempotencyKey="once", **here(first))
    await ada.set_state(first["conversation"]["id"], "ARCHIVED")
    again = await ada.send(script(words=1), idempotencyKey="once", **here(first))
    assert (again["replayed"], again["reply"]["id"]) == (True, second["reply"]["id"])
    assert (await ada.send("Else", idempotencyKey="once", **here(first)))["code"] == "KEY_REUSED"
    assert (await ada.send("Else", idempotencyKey="new", **here(first)))["code"] == "CONVERSATION_CLOSED"


async def test_a_refused_send_may_be_repeated_under_its_key(ada: FrontEnd) -> None:
    assert (await ada.send(" ", idempotencyKey="k"))["code"] == "INVALID_INPUT"
    assert (await ada.send(script(words=1), idempotencyKey="k"))["replayed"] is False


async def test_a_repeated_send_whose_conversation_was_deleted_since_finds_nothing(ada: FrontEnd) -> None:
    sent = await ada.said(script(words=1), idempotencyKey="gone")
    await ada.ask(
        "mutation($id: ID!) {deleteConversation(conversation: $id) {__typename}}", id=sent["conversation"]["id"]
    )
    again = await ada.send(script(words=1), idempotencyKey="gone")
    assert (again["code"], again["path"]) == ("NOT_FOUND", ["input", "idempotencyKey"])


async def test_the_same_key_of_two_viewers_is_two_keys(ada: FrontEnd, bob: FrontEnd) -> None:
    mine = await ada.send(script(words=1), idempotencyKey="k")
    theirs = await bob.send(script(words=1), idempotencyKey="k")
    assert (mine["replayed"], theirs["replayed"]) == (False, False)


async def test_a_send_takes_these_statements_and_no_more(ada: FrontEnd) -> None:
    new, statements = await ada.counted(LEAN, input=slow("first"))
    told = ["users"]  # the viewer's role, and with it all that is said for it
    # The key is remembered with what is reserved, whatever the limits, and all of a new conversation is written with both.
    reserved = ["BEGIN", "idempotency_keys"]
    assert outlined(statements) == [*told, *reserved, "COMMIT"]
    await ada.followed(new["sendMessage"]["generation"]["id"])

    here = {"conversation": new["sendMessage"]["conversation"]["id"]}
    next, statements = await ada.counted(LEAN, input={**slow("second"), **here})
    planned, locked = ["conversations", *told, "messages"], ["idempotency_keys", "generations"]
    grown = [*reserved, *locked, "conversations", "COMMIT"]
    assert outlined(statements) == planned + grown
    await ada.followed(next["sendMessage"]["generation"]["id"])

    below = {**here, "parent": new["sendMessage"]["reply"]["id"]}
    planned = ["conversations", "messages", *told, "messages"]
    _, statements = await ada.counted(LEAN, input={**slow("third"), **below})
    assert outlined(statements) == planned + grown

    _, statements = await ada.counted(LEAN, input={**slow("third"), **below})
    replayed = ["idempotency_keys", "conversations", "messages", "generations"]
    assert outlined(statements) == [*planned, *reserved, "ROLLBACK", *replayed]


async def test_a_run_takes_these_statements_beside_the_commits_of_its_text(ada: FrontEnd) -> None:
    sent, statements = await ada.counted(LEAN, input={"text": script(words=1), "idempotencyKey": "k"})
    await ada.followed(sent["sendMessage"]["generation"]["id"])
    assert outlined(statements)[4:] == ["generations"]  # the end: one statement, and a commit of its own


def slow(key: str) -> dict[str, object]:
    """The run waits until the send has been answered, so that none of its statements is counted."""
    return {"text": script(words=1, first_delay_ms=200), "idempotencyKey": key}


async def test_a_visitor_cannot_send(visitor: FrontEnd, gus: Gus) -> None:
    before = await contents(gus.database)
    assert await visitor.refused(SEND, input={"text": "hi", "idempotencyKey": str(uuid4())}) == ["UNAUTHENTICATED"]
    assert await contents(gus.database) == before
