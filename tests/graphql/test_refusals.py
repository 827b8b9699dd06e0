"""sendMessage refuses: each refusal by a whole operation, and nothing is changed by it."""

import asyncio
from typing import Any

from server.compose import Gus
from tests.graphql.front_end import FrontEnd, script
from tests.graphql.ids import MALFORMED, UNKNOWN
from tests.graphql.models import ON_OFFER
from tests.graphql.rows import unchanged

BROKEN_RULES: list[tuple[dict[str, Any], list[tuple[str, str, int | None]]]] = [
    ({"text": "x" * 500_001}, [("TOO_LONG", "input.text", 500_000)]),
    ({"text": "😀" * 250_001}, [("TOO_LONG", "input.text", 500_000)]),
    ({"text": "a\0"}, [("FORBIDDEN_CHARACTER", "input.text", None)]),
    ({"text": "a\ud800"}, [("FORBIDDEN_CHARACTER", "input.text", None)]),
    ({"idempotencyKey": "k" * 129}, [("TOO_LONG", "input.idempotencyKey", 128)]),
    ({"settings": {"stop": list("abcde")}}, [("TOO_MANY", "input.settings.stop", 4)]),
    (
        {"settings": {"model": "small", "maxOutputTokens": 17}},
        [("OUT_OF_RANGE", "input.settings.maxOutputTokens", 16)],
    ),
    ({"newConversation": {"title": ""}}, [("EMPTY", "input.newConversation.title", None)]),
    ({"newConversation": {"title": "t" * 201}}, [("TOO_LONG", "input.newConversation.title", 200)]),
    ({"newConversation": {"tags": ["t"] * 21}}, [("TOO_MANY", "input.newConversation.tags", 20)]),
    (
        {"newConversation": {"tags": ["ok", "t" * 51, " "]}},
        [("TOO_LONG", "input.newConversation.tags.1", 50), ("EMPTY", "input.newConversation.tags.2", None)],
    ),
    (
        {"newConversation": {"settings": {"temperature": -1}}},
        [("OUT_OF_RANGE", "input.newConversation.settings.temperature", 0)],
    ),
    (
        {"parent": UNKNOWN["Message"], "expectedLeaf": UNKNOWN["Message"]},
        [
            ("CONFLICTING_FIELDS", "input.expectedLeaf", None),
            ("CONFLICTING_FIELDS", "input.parent", None),
            ("CONFLICTING_FIELDS", "input.expectedLeaf", None),
        ],
    ),
]


async def test_input_that_breaks_rules_is_told_all_of_them_at_once(ada: FrontEnd, gus: Gus) -> None:
    settings = {"model": "none", "temperature": 2.5, "topP": -0.1, "maxOutputTokens": 0, "stop": ["", "x" * 65]}
    refused = await unchanged(gus, ada.send("", idempotencyKey=" ", settings=settings))
    assert (refused["__typename"], refused["code"], refused["retryable"]) == ("InvalidInput", "INVALID_INPUT", False)
    assert broken(refused) == [
        ("EMPTY", "input.idempotencyKey", None),
        ("EMPTY", "input.text", None),
        ("UNKNOWN_VALUE", "input.settings.model", None),
        ("OUT_OF_RANGE", "input.settings.temperature", 2),
        ("OUT_OF_RANGE", "input.settings.topP", 0),
        ("OUT_OF_RANGE", "input.settings.maxOutputTokens", 1),
        ("EMPTY", "input.settings.stop.0", None),
        ("TOO_LONG", "input.settings.stop.1", 64),
    ]


async def test_each_rule_has_its_problem(ada: FrontEnd, gus: Gus) -> None:
    for input, problems in BROKEN_RULES:
        refused = await unchanged(gus, ada.send(**{"text": "Hello", **input}))
        assert broken(refused) == problems, str(input)[:200]


async def test_a_conversation_is_named_or_new_and_a_parent_needs_no_guard(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.said(script(words=1))
    here = {"conversation": sent["conversation"]["id"], "newConversation": {}}
    below = {"parent": sent["reply"]["id"], "expectedLeaf": sent["reply"]["id"]}
    refused = await unchanged(gus, ada.send("Hello", **here, **below))
    assert broken(refused) == [
        ("CONFLICTING_FIELDS", "input.newConversation", None),
        ("CONFLICTING_FIELDS", "input.expectedLeaf", None),
    ]


async def test_of_many_problems_the_first_twenty_are_told(ada: FrontEnd) -> None:
    refused = await ada.send("", newConversation={"tags": [" "] * 21})
    assert len(refused["problems"]) == 20


async def test_unknown_malformed_and_foreign_conversations_are_answered_alike(
    ada: FrontEnd, bob: FrontEnd, gus: Gus
) -> None:
    theirs = (await bob.said(script(words=1)))["conversation"]["id"]
    deleted = (await ada.create())["conversation"]["id"]
    await ada.ask("mutation($id: ID!) {deleteConversation(conversation: $id) {__typename}}", id=deleted)
    for conversation in (theirs, deleted, UNKNOWN["Conversation"], UNKNOWN["Message"], *MALFORMED):
        refused = await unchanged(gus, ada.send("Hello", conversation=conversation))
        assert refused == {
            "__typename": "NotFound",
            "code": "NOT_FOUND",
            "message": "There is no such conversation: it never existed, was deleted, or is not yours.",
            "retryable": False,
            "retryAfter": None,
            "path": ["input", "conversation"],
        }


async def test_parents_that_are_unknown_malformed_foreign_or_elsewhere_are_answered_alike(
    ada: FrontEnd, bob: FrontEnd, gus: Gus
) -> None:
    sent, elsewhere, theirs = await ada.said("One"), await ada.said("Two"), await bob.said("Three")
    here = {"conversation": sent["conversation"]["id"]}
    for parent in (elsewhere["reply"]["id"], theirs["reply"]["id"], UNKNOWN["Message"], *MALFORMED):
        refused = await unchanged(gus, ada.send("Hello", **here, parent=parent))
        assert refused == {
            "__typename": "NotFound",
            "code": "NOT_FOUND",
            "message": "There is no such parent: it never existed, was deleted, or is not yours.",
            "retryable": False,
            "retryAfter": None,
            "path": ["input", "parent"],
        }


async def test_a_path_that_is_being_written_is_busy(ada: FrontEnd, gus: Gus) -> None:
    first = await ada.said(script(words=1))
    here = {"conversation": first["conversation"]["id"]}
    running = await ada.send(script(fault="hang_first"), **here)
    for where in ({}, {"parent": running["reply"]["id"]}, {"expectedLeaf": running["reply"]["id"]}):
        refused = await unchanged(gus, ada.send("Hello", **here, **where))
        assert (refused["__typename"], refused["code"]) == ("ConversationBusy", "CONVERSATION_BUSY")
        assert (refused["retryable"], refused["retryAfter"]) == (True, None)
        assert refused["activeGeneration"] == {
            "id": running["generation"]["id"],
            "reply": {"id": running["reply"]["id"]},
        }


async def test_another_branch_is_not_busy(ada: FrontEnd) -> None:
    first = await ada.said(script(words=1))
    here = {"conversation": first["conversation"]["id"]}
    running = await ada.send(script(fault="hang_first"), **here)
    for parent in (first["reply"]["id"], running["userMessage"]["id"]):
        assert (await ada.send("Hello", **here, parent=parent))["__typename"] == "SendMessageSuccess"


async def test_a_stale_client_is_shown_the_leaf(ada: FrontEnd, bob: FrontEnd, gus: Gus) -> None:
    first = await ada.said(script(words=1))
    theirs = await bob.said("Hello")
    here = {"conversation": first["conversation"]["id"]}
    second = await ada.said(script(words=1), **here, expectedLeaf=first["reply"]["id"])
    for stale in (first["reply"]["id"], theirs["reply"]["id"], UNKNOWN["Message"], *MALFORMED):
        refused = await unchanged(gus, ada.send("Hello", **here, expectedLeaf=stale))
        assert (refused["__typename"], refused["code"], refused["retryable"]) == ("StaleBranch", "STALE_BRANCH", False)
        assert refused["currentLeaf"] == {"id": second["reply"]["id"]}


async def test_an_empty_conversation_has_no_leaf_to_expect(ada: FrontEnd, gus: Gus) -> None:
    empty = (await ada.create())["conversation"]["id"]
    refused = await unchanged(gus, ada.send("Hello", conversation=empty, expectedLeaf=UNKNOWN["Message"]))
    assert (refused["code"], refused["currentLeaf"]) == ("STALE_BRANCH", None)


async def test_a_key_stands_for_one_mutation_and_one_input(ada: FrontEnd, gus: Gus) -> None:
    await ada.said(script(words=1), idempotencyKey="sent")
    await ada.create(idempotencyKey="created")
    for key, text in (("sent", "Another text"), ("created", "Hello")):
        refused = await unchanged(gus, ada.send(text, idempotencyKey=key))
        assert (refused["__typename"], refused["code"], refused["retryable"]) == ("KeyReused", "KEY_REUSED", False)
        assert refused["idempotencyKey"] == key


async def test_a_message_that_does_not_fit_alone_is_too_large(ada: FrontEnd, gus: Gus) -> None:
    text = "x" * 200
    refused = await unchanged(gus, ada.send(text, settings={"model": "small"}))
    assert (refused["__typename"], refused["code"], refused["retryable"]) == (
        "ContextTooLarge",
        "CONTEXT_TOO_LARGE",
        False,
    )
    # The text by weight, 40 around the prompt, 16 for the answer.
    assert (refused["requiredTokens"], refused["limitTokens"]) == (197, 128)
    assert (await ada.send("x" * 90, settings={"model": "small"}))["__typename"] == "SendMessageSuccess"


async def test_a_retired_model_takes_no_sends(ada: FrontEnd, gus: Gus) -> None:
    refused = await unchanged(gus, ada.send("Hello", settings={"model": "retired"}))
    assert (refused["__typename"], refused["code"]) == ("ModelUnavailable", "MODEL_UNAVAILABLE")
    assert (refused["retryable"], refused["retryAfter"]) == (False, None)
    assert refused["model"] == {"key": "retired", "retired": True}
    assert [alternative["key"] for alternative in refused["alternatives"]] == ON_OFFER[:10]


async def test_a_conversation_whose_model_was_retired_takes_a_send_that_names_another(ada: FrontEnd) -> None:
    made = await ada.create(settings={"model": "retired"})
    here = {"conversation": made["conversation"]["id"]}
    assert (await ada.send("Hello", **here))["code"] == "MODEL_UNAVAILABLE"
    assert (await ada.send("Hello", **here, settings={"model": "other"}))["__typename"] == "SendMessageSuccess"


async def test_a_process_that_goes_away_takes_no_sends_and_answers_what_it_has_done(ada: FrontEnd, gus: Gus) -> None:
    await ada.said(script(words=1), idempotencyKey="done")
    await gus.runs.drain()
    refused = await unchanged(gus, ada.send("Hello"))
    assert (refused["__typename"], refused["code"]) == ("ServerDraining", "SERVER_DRAINING")
    assert (refused["retryable"], refused["retryAfter"]) == (True, 1.0)
    assert (await ada.create())["code"] == "SERVER_DRAINING"
    assert (await ada.send(script(words=1), idempotencyKey="done"))["replayed"] is True


async def test_of_twenty_twins_in_flight_one_sends(ada: FrontEnd) -> None:
    twins = await asyncio.gather(*(ada.send(script(words=1), idempotencyKey="twin") for _ in range(20)))
    assert sorted(twin["replayed"] for twin in twins) == [False] + [True] * 19
    assert len({twin["reply"]["id"] for twin in twins}) == 1


async def test_of_twenty_sends_at_once_to_one_leaf_one_is_taken(ada: FrontEnd) -> None:
    first = await ada.said(script(words=1))
    here = {"conversation": first["conversation"]["id"]}
    sent = await asyncio.gather(*(ada.send(script(fault="hang_first"), **here) for _ in range(20)))
    assert sorted(one["__typename"] for one in sent) == ["ConversationBusy"] * 19 + ["SendMessageSuccess"]


def broken(refused: dict[str, Any]) -> list[tuple[str, str, int | None]]:
    return [(problem["rule"], ".".join(problem["path"]), problem["limit"]) for problem in refused["problems"]]
