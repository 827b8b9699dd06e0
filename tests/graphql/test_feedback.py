"""rateMessage: what a user thinks of a reply, and who hears of it."""

import asyncio

from domain.world import RealWorld
from repositories.conversation.store import SqlConversations
from server.compose import Gus
from tests.graphql.documents import CONVERSATION_EVENTS, DELETE, VIEWER_EVENTS
from tests.graphql.front_end import FrontEnd, here
from tests.graphql.ids import MALFORMED, UNKNOWN
from tests.graphql.rows import contents, counts, unchanged
from tests.waiting import until

FEEDBACK = "query($id: ID!) {message(id: $id) {feedback {rating tags comment updatedAt}}}"


async def test_feedback_is_what_was_said_last(ada: FrontEnd) -> None:
    reply = (await ada.said("Hello"))["reply"]["id"]
    assert (await ada.ask(FEEDBACK, id=reply))["message"]["feedback"] is None
    rated = await ada.rate(reply, "DOWN", tags=["wrong", "long", "wrong"], comment="It is not so.")
    assert rated["__typename"] == "RateMessageSuccess"
    first = rated["ratedMessage"]["feedback"]
    assert (first["rating"], first["tags"], first["comment"]) == ("DOWN", ["wrong", "long"], "It is not so.")
    second = (await ada.rate(reply, "UP"))["ratedMessage"]["feedback"]
    assert (second["rating"], second["tags"], second["comment"]) == ("UP", [], None)
    assert second["updatedAt"] > first["updatedAt"]
    assert (await ada.ask(FEEDBACK, id=reply))["message"]["feedback"] == second


async def test_a_null_rating_takes_it_away_also_where_there_is_none(ada: FrontEnd) -> None:
    reply = (await ada.said("Hello"))["reply"]["id"]
    await ada.rate(reply, "UP", tags=None, comment=None)
    for _ in range(2):
        assert (await ada.rate(reply, None))["ratedMessage"] == {"id": reply, "feedback": None}
    assert (await ada.ask(FEEDBACK, id=reply))["message"]["feedback"] is None


async def test_rules_are_told_all_at_once(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.said("Hello")
    refused = await unchanged(gus, ada.rate(sent["userMessage"]["id"], tags=["", "t" * 51, "\0"], comment="c" * 2001))
    assert [(problem["rule"], problem["path"], problem["limit"]) for problem in refused["problems"]] == [
        ("WRONG_ROLE", ["message"], None),
        ("REQUIRED", ["rating"], None),
        ("EMPTY", ["tags", "0"], None),
        ("TOO_LONG", ["tags", "1"], 50),
        ("EMPTY", ["tags", "2"], None),
        ("FORBIDDEN_CHARACTER", ["tags", "2"], None),
        ("TOO_LONG", ["comment"], 2000),
    ]
    refused = await unchanged(gus, ada.rate(sent["reply"]["id"], "UP", tags=["t"] * 21, comment=" "))
    assert [(problem["rule"], problem["path"]) for problem in refused["problems"]] == [
        ("TOO_MANY", ["tags"]),
        ("EMPTY", ["comment"]),
    ]


async def test_unknown_malformed_foreign_and_deleted_messages_are_answered_alike(
    ada: FrontEnd, bob: FrontEnd, gus: Gus
) -> None:
    theirs, gone = await bob.said("Hello"), await ada.said("Hello")
    await ada.rate(gone["reply"]["id"], "UP")
    await ada.ask(DELETE, **here(gone))
    for message in (theirs["reply"]["id"], gone["reply"]["id"], UNKNOWN["Message"], *MALFORMED):
        refused = await unchanged(gus, ada.rate(message, "UP"))
        assert (refused["__typename"], refused["path"]) == ("NotFound", ["message"])


async def test_it_is_told_to_other_tabs_and_to_the_sidebar(ada: FrontEnd) -> None:
    sent = await ada.said("Hello")
    async with (
        ada.watching(CONVERSATION_EVENTS, **here(sent)) as events,
        ada.watching(VIEWER_EVENTS) as touches,
    ):
        await anext(events)
        await anext(touches)
        await ada.rate(sent["reply"]["id"], "UP")
        changed = await anext(events)
        assert (changed["__typename"], changed["changedMessage"]) == ("MessageChanged", {"id": sent["reply"]["id"]})
        assert (await anext(touches))["conversation"]["id"] == sent["conversation"]["id"]


async def test_of_many_ratings_at_once_each_is_told_and_one_stays(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.said("Hello")
    query = "query($id: ID!) {conversation(id: $id) {eventSeq}}"
    before = (await ada.ask(query, id=sent["conversation"]["id"]))["conversation"]["eventSeq"]
    await asyncio.gather(*(ada.rate(sent["reply"]["id"], "UP", comment=f"{n}") for n in range(10)))
    after = (await ada.ask(query, id=sent["conversation"]["id"]))["conversation"]["eventSeq"]
    assert (after - before, (await counts(gus.database))["feedback"]) == (10, 1)


async def test_it_is_purged_with_its_message(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.said("Hello")
    await ada.rate(sent["reply"]["id"], "UP")
    await ada.ask(DELETE, **here(sent))

    async def purged() -> bool:
        await SqlConversations(gus.database, RealWorld()).purge_deleted(500)
        return not (await contents(gus.database))["conversations"]

    await until("the conversation is purged", purged)
    assert (await counts(gus.database))["feedback"] == 0


async def test_a_rating_takes_two_statements_and_a_page_of_feedback_one(ada: FrontEnd) -> None:
    sent = await ada.said("Hello")
    query = "mutation($id: ID!) {rateMessage(message: $id, rating: UP) {__typename}}"
    _, statements = await ada.counted(query, id=sent["reply"]["id"])
    assert len(statements) == 2
    await ada.said("Hello", **here(sent))
    query = "query($id: ID!, $last: Int) {conversation(id: $id) {path(last: $last) {nodes {feedback {rating}}}}}"
    _, few = await ada.counted(query, id=sent["conversation"]["id"], last=1)
    _, many = await ada.counted(query, id=sent["conversation"]["id"], last=4)
    assert len(few) == len(many)
