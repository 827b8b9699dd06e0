"""continueReply: a reply goes on where it was cut, stopped or lost, and what stood there stays to the byte."""

import asyncio
from typing import Any

import strawberry

from repositories.database import open_database
from server.compose import Gus
from server.models_file import Catalogue
from server.settings import Settings
from tests.graphql.asked import turns
from tests.graphql.documents import CONTINUE
from tests.graphql.front_end import FrontEnd, here, outlined, script
from tests.graphql.ids import MALFORMED, UNKNOWN
from tests.graphql.process import new_user, process, served
from tests.graphql.rows import counts, unchanged
from tests.model_server import ModelServer

HANGS = script(words=9, after=3, fault="hang_between")
CUT = script(words=3, finish="length")

REPLY = """
query($id: ID!) {
  message(id: $id) {
    text status textThroughSeq completedAt childCount siblingCount
    generation { id trigger status textOffset lastSeq usage { outputTokens } }
  }
}
"""


async def reply_of(ada: FrontEnd, sent: dict[str, Any]) -> dict[str, Any]:
    return dict((await ada.ask(REPLY, id=sent["reply"]["id"]))["message"])


async def gone_on(ada: FrontEnd, sent: dict[str, Any], **input: object) -> dict[str, Any]:
    """To its end."""
    on = await ada.go_on(sent["reply"]["id"], **input)
    assert on["__typename"] == "SendMessageSuccess", on
    await ada.followed(on["generation"]["id"])
    return on


async def stopped(ada: FrontEnd, text: str = HANGS) -> dict[str, Any]:
    """After its third word."""
    sent = await ada.send(text)
    await ada.heard(sent["generation"]["id"])
    await ada.stop(sent["generation"]["id"])
    await ada.followed(sent["generation"]["id"])
    return sent


async def test_a_reply_that_was_cut_by_length_goes_on(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.said(CUT)
    kept = (await reply_of(ada, sent))["text"]
    on = await ada.go_on(sent["reply"]["id"])
    assert (on["reply"]["id"], on["userMessage"]["id"]) == (sent["reply"]["id"], sent["userMessage"]["id"])
    assert (on["reply"]["text"], on["reply"]["siblingIndex"]) == (kept, 1)
    assert (on["generation"]["trigger"], on["generation"]["textOffset"]) == ("CONTINUE", len(kept))
    await ada.followed(on["generation"]["id"])
    reply = await reply_of(ada, sent)
    assert (reply["text"], reply["status"]) == (kept + model_server.seen[1].text, "COMPLETE")
    assert (reply["generation"]["id"], reply["generation"]["status"]) == (on["generation"]["id"], "COMPLETED")
    assert turns(model_server) == [{"role": "user", "content": CUT}, {"role": "assistant", "content": kept}]


async def test_the_log_of_a_continuation_begins_at_seq_1_and_where_the_kept_text_ends(ada: FrontEnd) -> None:
    sent = await ada.said(script(say=["😀", "é"], finish="length"))
    events = await ada.followed((await gone_on(ada, sent))["generation"]["id"])
    deltas = [event for event in events if event["__typename"] == "TextDelta"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert (events[0]["__typename"], events[0]["attempt"]) == ("GenerationStarted", 1)
    assert deltas[0]["offset"] == 3
    assert deltas[-1]["textSoFar"] == events[-1]["reply"]["text"] == "😀é😀é"


async def test_a_reply_that_was_stopped_goes_on(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await stopped(ada, script(words=9, after=3, fault="hang_between", times=1))
    assert (await reply_of(ada, sent))["status"] == "STOPPED"
    await gone_on(ada, sent)
    reply = await reply_of(ada, sent)
    assert (reply["text"], reply["status"]) == ("".join(seen.text for seen in model_server.seen), "COMPLETE")
    # Each run counts its own.
    assert (reply["text"].count("w"), reply["generation"]["usage"]["outputTokens"]) == (12, 9)


async def test_a_reply_that_failed_with_text_goes_on(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=4, after=2, fault="error_data", times=1))
    failed = await reply_of(ada, sent)
    assert (failed["status"], failed["text"].count("w")) == ("FAILED", 2)
    await gone_on(ada, sent)
    reply = await reply_of(ada, sent)
    assert (reply["text"], reply["status"]) == (failed["text"] + model_server.seen[1].text, "COMPLETE")


async def test_a_reply_whose_process_was_lost_goes_on(
    database_url: str, settings: Settings, catalogue: Catalogue, built: strawberry.Schema, model_server: ModelServer
) -> None:
    async with process(database_url, settings, catalogue) as gus:
        ada = FrontEnd(served(gus, built), await new_user(gus, "Ada", can_manage=False))
        sent = await ada.send(script(words=9, after=3, fault="hang_between", times=1))
        await ada.heard(sent["generation"]["id"])
    async with open_database(database_url, 2) as database:
        # As by kill -9: nobody was told to go on.
        await database.execute("UPDATE generations SET handed_over = false")
    async with process(database_url, settings, catalogue) as gus:
        ada = ada.at(served(gus, built))
        lost = await reply_of(ada, sent)
        assert (lost["status"], lost["text"]) == ("INTERRUPTED", model_server.seen[0].text)
        await gone_on(ada, sent)
        assert (await reply_of(ada, sent))["text"] == lost["text"] + model_server.seen[1].text


async def test_while_it_goes_on_the_text_is_what_was_kept_and_what_is_new(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    sent = await stopped(ada)
    kept = (await reply_of(ada, sent))["text"]
    on = await ada.go_on(sent["reply"]["id"])
    events = await ada.heard(on["generation"]["id"])
    reply = await reply_of(ada, sent)
    assert (reply["text"], reply["status"], reply["completedAt"]) == (
        kept + model_server.seen[1].text,
        "STREAMING",
        None,
    )
    assert reply["generation"]["id"] == on["generation"]["id"]
    assert reply["textThroughSeq"] == reply["generation"]["lastSeq"] == events[-1]["seq"]


async def test_a_stop_of_a_continuation_takes_back_its_own_text_only(ada: FrontEnd) -> None:
    sent = await stopped(ada)
    kept = (await reply_of(ada, sent))["text"]
    on = await ada.go_on(sent["reply"]["id"])
    events = await ada.heard(on["generation"]["id"])
    await ada.stop(on["generation"]["id"], 0)
    ending = (await ada.followed(on["generation"]["id"]))[len(events) :]
    assert (ending[0]["__typename"], ending[0]["length"]) == ("TextTruncated", len(kept))
    assert (await reply_of(ada, sent))["text"] == kept


async def test_a_reply_goes_on_as_often_as_it_is_cut(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.said(CUT)
    for _ in range(3):
        await gone_on(ada, sent)
    assert (await reply_of(ada, sent))["text"] == "".join(seen.text for seen in model_server.seen)
    assert len(model_server.seen) == 4


async def test_white_space_at_the_end_is_kept_not_shown_to_the_model_and_not_doubled(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    sent = await ada.said(script(say=["a \n", "b \n"], finish="length"))
    await gone_on(ada, sent)
    assert (await reply_of(ada, sent))["text"] == "a \nb \na \nb \n"
    assert turns(model_server)[-1] == {"role": "assistant", "content": "a \nb"}


async def test_a_reply_that_something_stands_on_gets_a_sibling_that_begins_with_the_kept_text(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    sent = await ada.said(CUT)
    kept = (await reply_of(ada, sent))["text"]
    await ada.said("And?", **here(sent))
    on = await ada.go_on(sent["reply"]["id"])
    assert (on["reply"]["parent"], on["reply"]["siblingIndex"]) == ({"id": sent["userMessage"]["id"]}, 2)
    assert (on["reply"]["text"], on["generation"]["textOffset"]) == (kept, len(kept))
    assert on["conversation"]["activeLeaf"] == {"id": on["reply"]["id"]}
    await ada.followed(on["generation"]["id"])
    assert (await reply_of(ada, on))["text"] == kept + model_server.seen[2].text
    before = await reply_of(ada, sent)
    assert (before["text"], before["childCount"]) == (kept, 1)
    assert before["generation"]["id"] == sent["generation"]["id"]


async def test_where_nothing_was_kept_a_sibling_is_written_anew(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.send(script(words=2, fault="hang_first", times=1), settings={"model": "whole"})
    await ada.stop(sent["generation"]["id"])
    await ada.followed(sent["generation"]["id"])
    on = await gone_on(ada, sent)
    assert (on["reply"]["siblingIndex"], on["generation"]["textOffset"]) == (2, 0)
    assert (await reply_of(ada, on))["text"] == model_server.seen[-1].text
    assert (await reply_of(ada, sent))["text"] == ""
    assert [turn["role"] for turn in turns(model_server)] == ["user"]


async def test_the_rest_may_be_limited_and_all_else_is_as_the_run_before_had_it(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    sent = await ada.said(CUT, settings={"temperature": 0.5, "maxOutputTokens": 7, "stop": ["END"], "model": "other"})
    on = await gone_on(ada, sent, maxOutputTokens=9)
    asked = model_server.seen[-1].body
    assert (asked["max_tokens"], asked["temperature"], asked["stop"]) == (9, 0.5, ["END"])
    assert on["generation"]["model"] == {"key": "other"}
    assert on["generation"]["settings"]["maxOutputTokens"] == 9
    await gone_on(ada, sent, maxOutputTokens=None)
    assert model_server.seen[-1].body["max_tokens"] == 9


async def test_a_reply_that_ended_whole_does_not_go_on(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.said(script(say=["Wood."]))
    refused = await unchanged(gus, ada.go_on(sent["reply"]["id"]))
    assert (refused["__typename"], refused["code"]) == ("NotContinuable", "NOT_CONTINUABLE")
    assert (refused["retryable"], refused["retryAfter"]) == (False, None)
    assert refused["currentReply"] == {"id": sent["reply"]["id"], "text": "Wood.", "status": "COMPLETE"}


async def test_a_model_that_cannot_continue_does_not(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.said(CUT, settings={"model": "whole"})
    refused = await unchanged(gus, ada.go_on(sent["reply"]["id"]))
    assert (refused["__typename"], refused["currentReply"]["status"]) == ("NotContinuable", "COMPLETE")


async def test_a_reply_that_is_being_written_is_busy(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.send(script(fault="hang_first"))
    refused = await unchanged(gus, ada.go_on(sent["reply"]["id"]))
    assert (refused["__typename"], refused["activeGeneration"]["id"]) == ("ConversationBusy", sent["generation"]["id"])


async def test_a_reply_does_not_go_on_below_one_that_is_being_written(ada: FrontEnd, gus: Gus) -> None:
    first = await ada.send(HANGS)
    second = await ada.send("And?", **here(first), onBusy="ENQUEUE")
    await ada.stop(second["generation"]["id"])
    await ada.followed(second["generation"]["id"])
    refused = await unchanged(gus, ada.go_on(second["reply"]["id"]))
    assert (refused["__typename"], refused["code"]) == ("ConversationBusy", "CONVERSATION_BUSY")
    assert refused["activeGeneration"]["id"] == first["generation"]["id"]


async def test_only_a_reply_goes_on_and_all_that_is_wrong_is_told(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.said(CUT)
    refused = await unchanged(gus, ada.go_on(sent["userMessage"]["id"], idempotencyKey="", maxOutputTokens=0))
    assert [(problem["rule"], problem["path"][-1], problem["limit"]) for problem in refused["problems"]] == [
        ("EMPTY", "idempotencyKey", None),
        ("WRONG_ROLE", "reply", None),
        ("OUT_OF_RANGE", "maxOutputTokens", 1),
    ]


async def test_what_a_model_may_say_bounds_a_continuation_too(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.said(script(words=1, finish="length", tag="x"), settings={"model": "small"})
    refused = await unchanged(gus, ada.go_on(sent["reply"]["id"], maxOutputTokens=17))
    assert [(problem["rule"], problem["limit"]) for problem in refused["problems"]] == [("OUT_OF_RANGE", 16)]


async def test_unknown_malformed_and_foreign_replies_are_answered_alike(ada: FrontEnd, bob: FrontEnd, gus: Gus) -> None:
    theirs = (await bob.said(CUT))["reply"]["id"]
    for reply in (theirs, UNKNOWN["Message"], UNKNOWN["Conversation"], *MALFORMED):
        assert await unchanged(gus, ada.go_on(reply)) == {
            "__typename": "NotFound",
            "code": "NOT_FOUND",
            "message": "There is no such reply: it never existed, was deleted, or is not yours.",
            "retryable": False,
            "retryAfter": None,
            "path": ["input", "reply"],
        }


async def test_a_continuation_is_started_once_for_its_key(ada: FrontEnd, gus: Gus, model_server: ModelServer) -> None:
    sent = await ada.said(CUT)
    on = await ada.go_on(sent["reply"]["id"], idempotencyKey="on")
    again = await ada.go_on(sent["reply"]["id"], idempotencyKey="on")
    assert (on["replayed"], again["replayed"]) == (False, True)
    await ada.followed(on["generation"]["id"])
    again = await unchanged(gus, ada.go_on(sent["reply"]["id"], idempotencyKey="on"))
    assert (again["replayed"], again["generation"]["id"]) == (True, on["generation"]["id"])
    assert len(model_server.seen) == 2


async def test_a_key_stands_for_one_continuation(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.said(CUT, idempotencyKey="sent")
    await gone_on(ada, sent, idempotencyKey="on")
    for key in ("sent", "on"):
        refused = await unchanged(gus, ada.go_on(sent["reply"]["id"], idempotencyKey=key, maxOutputTokens=5))
        assert (refused["__typename"], refused["idempotencyKey"]) == ("KeyReused", key)
    assert (await ada.send(CUT, idempotencyKey="on"))["__typename"] == "KeyReused"


async def test_of_ten_continuations_at_once_one_writes(ada: FrontEnd, gus: Gus) -> None:
    sent = await stopped(ada)
    answers = await asyncio.gather(*(ada.go_on(sent["reply"]["id"]) for _ in range(10)))
    kinds = [answer["__typename"] for answer in answers]
    assert kinds.count("SendMessageSuccess") == 1
    assert set(kinds) <= {"SendMessageSuccess", "NotContinuable", "ConversationBusy"}
    assert (await counts(gus.database))["generations"] == 2


async def test_a_send_and_a_continuation_at_once_do_not_both_take_the_leaf(ada: FrontEnd, gus: Gus) -> None:
    sent = await stopped(ada)
    said, on = await asyncio.gather(ada.send(HANGS, **here(sent)), ada.go_on(sent["reply"]["id"]))
    if said["__typename"] == "ConversationBusy":
        assert said["activeGeneration"]["id"] == on["generation"]["id"]
        assert on["reply"]["id"] == sent["reply"]["id"]
    else:
        assert said["userMessage"]["parent"] == {"id": sent["reply"]["id"]}
        assert on["reply"]["siblingIndex"] == 2


async def test_a_reply_of_a_retired_model_does_not_go_on(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.said(CUT)
    await gus.database.execute("UPDATE generations SET model_key = 'retired'")
    refused = await unchanged(gus, ada.go_on(sent["reply"]["id"]))
    assert (refused["__typename"], refused["model"]["key"]) == ("ModelUnavailable", "retired")


async def test_a_continuation_takes_these_statements_and_no_more(ada: FrontEnd) -> None:
    sent = await ada.said(script(words=3, finish="length"))
    lean = CONTINUE.split("{", 1)[0] + "{continueReply(input: $input) {... on SendMessageSuccess {generation {id}}}}"
    _, statements = await ada.counted(lean, input={"reply": sent["reply"]["id"], "idempotencyKey": "on"})
    # The reply, its run, what it answers; the conversation's policy, and the instructions. Its root has no path above it.
    planned = ["messages", "generations", "messages", "conversations", "users"]
    written = ["BEGIN", "idempotency_keys", "idempotency_keys", "generations", "conversations", "COMMIT"]
    assert outlined(statements)[:11] == [*planned, *written]
