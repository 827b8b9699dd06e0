"""Scalars in and out, and values that no column takes."""

from typing import Any

from tests.graphql.documents import CREATE_KEY, SEND
from tests.graphql.front_end import FrontEnd, script

UNSTORABLE = ("a\0", "a\ud800")

LIST = "query($filter: ConversationFilter) {viewer {conversations(filter: $filter) {nodes {id}}}}"


async def test_times_are_answered_in_utc_with_milliseconds(ada: FrontEnd) -> None:
    for given, answered in (
        ("2026-01-31T12:00:00.000Z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T12:00:00.1234567+02:00", "2026-01-31T10:00:00.123Z"),
        ("0099-01-31T12:00:00Z", "0099-01-31T12:00:00.000Z"),
    ):
        sent = await ada.send(script(words=1), sentAt=given)
        assert sent["userMessage"]["sentAt"] == answered


async def test_what_is_no_time_with_an_offset_is_a_bad_variable(ada: FrontEnd) -> None:
    naive, overflowing, impossible = "2026-01-31T12:00:00", "0001-01-01T00:00:00+14:00", "2026-02-30T00:00:00Z"
    for given in (naive, overflowing, impossible, "2026-01-31", "yesterday", "", 0):
        refused = await ada.refused(SEND, input={"text": "x", "idempotencyKey": "k", "sentAt": given})
        assert refused == ["BAD_VARIABLES"], given


async def test_a_filter_for_what_cannot_be_stored_finds_nothing(ada: FrontEnd) -> None:
    await ada.create(title="Trees")
    for filter in ({"titleContains": "\0"}, {"titleContains": "\ud800"}, {"tags": ["\0"]}):
        assert await ada.ask(LIST, filter=filter) == {"viewer": {"conversations": {"nodes": []}}}


async def test_a_key_that_cannot_be_stored_is_a_problem_of_the_input(ada: FrontEnd) -> None:
    for key in UNSTORABLE:
        for refused in (await ada.send("Hello", idempotencyKey=key), await ada.create(idempotencyKey=key)):
            assert forbidden(refused) == [["input", "idempotencyKey"]]


async def test_a_stop_sequence_that_cannot_be_stored_is_a_problem_of_the_input(ada: FrontEnd) -> None:
    for stop in UNSTORABLE:
        settings = {"settings": {"stop": ["ok", stop]}}
        for refused in (await ada.send("Hello", **settings), await ada.create(**settings)):
            assert forbidden(refused) == [["input", "settings", "stop", "1"]]


async def test_the_name_of_a_key_that_cannot_be_stored_is_a_problem_of_the_input(ada: FrontEnd) -> None:
    for name in UNSTORABLE:
        refused = (await ada.ask(CREATE_KEY, input={"name": name}))["createApiKey"]
        assert forbidden(refused) == [["input", "name"]]


async def test_a_text_of_the_greatest_length_can_be_sent_unless_it_is_too_large_for_the_transport(
    ada: FrontEnd,
) -> None:
    for text in ("x" * 500_000, "😀" * 250_000, "木" * 340_000):
        assert (await ada.send(text))["__typename"] == "ContextTooLarge"
    # 1.5 MB of UTF-8, where a body may have 1 MiB.
    assert await ada.refused(SEND, input={"text": "木" * 500_000, "idempotencyKey": "k"}) == ["BAD_REQUEST"]


async def test_a_text_in_which_nothing_can_be_seen_is_empty(ada: FrontEnd) -> None:
    for text in ("", " \t\n", "\u00a0\u3000", "\u200b\u2060\ufeff", "\u202e\u200d", "\u2800", "\u3164"):
        refused = await ada.send(text)
        assert [(problem["rule"], problem["path"]) for problem in refused["problems"]] == [("EMPTY", ["input", "text"])]
    # The last two: an emoji that is newer than Python's tables, an icon of a font.
    for text in ("\u200b.\u200b", "\U0001fae9", "\uf8ff"):
        assert (await ada.send(text))["__typename"] == "SendMessageSuccess"


async def test_a_cursor_that_was_made_up_is_a_bad_page(ada: FrontEnd) -> None:
    forged = "MDE4OTAwMDAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAwIDAA"  # an id, and a title with NUL in it
    query = "query($after: String) {viewer {conversations(orderBy: TITLE_ASC, after: $after) {nodes {id}}}}"
    assert await ada.refused(query, after=forged) == ["BAD_PAGE"]


def forbidden(refused: dict[str, Any]) -> list[list[str]]:
    """The paths of the problems, all of which are of this one rule."""
    assert {problem["rule"] for problem in refused["problems"]} == {"FORBIDDEN_CHARACTER"}
    return [problem["path"] for problem in refused["problems"]]
