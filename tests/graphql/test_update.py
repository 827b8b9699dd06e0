"""updateConversation: what is given is changed, what is null is cleared, and nobody overwrites what he has not seen."""

import asyncio
from typing import Any

import pytest

from server.compose import Gus
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.ids import MALFORMED, UNKNOWN
from tests.graphql.rows import unchanged

SETTINGS = {"model": {"key": "other"}, "temperature": 0.5, "topP": 0.5, "maxOutputTokens": 9, "seed": 1, "stop": ["a"]}
POLICY = {"strategy": "FAIL", "maxInputTokens": 500, "reserveOutputTokens": 50}
DEFAULT_POLICY = {"strategy": "SLIDING_WINDOW", "maxInputTokens": None, "reserveOutputTokens": 1024}


@pytest.fixture
async def made(ada: FrontEnd) -> str:
    settings = {**SETTINGS, "model": "other"}
    made = await ada.create(title="Trees", tags=["a"], pinned=True, settings=settings, contextPolicy=POLICY)
    return str(made["conversation"]["id"])


# given, what is different then
CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"title": "Wood"}, {"title": "Wood"}),
    ({"title": None}, {"title": None, "titleSource": "NONE"}),
    ({"tags": ["b", "c", "b"]}, {"tags": ["b", "c"]}),
    ({"tags": None}, {"tags": []}),
    ({"pinned": False}, {"pinned": False}),
    ({"pinned": None}, {"pinned": False}),
    ({"settings": {"temperature": 1.5}}, {"settings": {**SETTINGS, "temperature": 1.5}}),
    (
        {"settings": {"temperature": None, "stop": None, "seed": 2}},
        {"settings": {**SETTINGS, "temperature": None, "stop": None, "seed": 2}},
    ),
    ({"settings": {"model": "small"}}, {"settings": {**SETTINGS, "model": {"key": "small"}}}),
    ({"settings": None}, {"settings": dict.fromkeys(SETTINGS)}),
    ({"contextPolicy": {"maxInputTokens": None}}, {"contextPolicy": {**POLICY, "maxInputTokens": None}}),
    (
        {"contextPolicy": {"strategy": "SUMMARIZE", "reserveOutputTokens": None}},
        {"contextPolicy": {**POLICY, "strategy": "SUMMARIZE", "reserveOutputTokens": 1024}},
    ),
    ({"contextPolicy": None}, {"contextPolicy": DEFAULT_POLICY}),
    ({"title": "Wood", "tags": None, "settings": {}}, {"title": "Wood", "tags": []}),
]


@pytest.mark.parametrize(("given", "different"), CHANGES)
async def test_absent_leaves_null_clears_and_records_merge(
    ada: FrontEnd, made: str, given: dict[str, Any], different: dict[str, Any]
) -> None:
    before = (await ada.update(made))["conversation"]
    assert (before["settings"], before["contextPolicy"], before["version"]) == (SETTINGS, POLICY, 1)
    after = (await ada.update(made, **given))["conversation"]
    assert after.pop("updatedAt") > before.pop("updatedAt")
    assert after == {**before, **different, "version": 2}


@pytest.mark.parametrize("given", [{}, {"title": "Trees"}, {"tags": ["a"], "pinned": True, "settings": {"seed": 1}}])
async def test_what_was_so_before_changes_no_row(ada: FrontEnd, gus: Gus, made: str, given: dict[str, Any]) -> None:
    updated = await unchanged(gus, ada.update(made, **given, expectedVersion=1))
    assert updated["conversation"]["version"] == 1


async def test_a_stale_version_is_told_what_was_saved_first(ada: FrontEnd, gus: Gus, made: str) -> None:
    await ada.update(made, title="Wood", expectedVersion=1)
    refused = await unchanged(gus, ada.update(made, tags=[], expectedVersion=1))
    assert (refused["__typename"], refused["code"], refused["retryable"]) == ("StaleVersion", "STALE_VERSION", False)
    assert refused["conversation"] == {"id": made, "version": 2, "title": "Wood"}
    assert (await ada.update(made, tags=[], expectedVersion=2))["conversation"]["version"] == 3
    assert (await ada.update(made, pinned=False))["conversation"]["version"] == 4


async def test_of_ten_at_once_with_one_version_one_saves(ada: FrontEnd, made: str) -> None:
    saved = await asyncio.gather(*(ada.update(made, title=f"{n}", expectedVersion=1) for n in range(10)))
    assert sorted(one["__typename"] for one in saved) == ["StaleVersion"] * 9 + ["UpdateConversationSuccess"]


async def test_ten_at_once_without_a_version_all_save(ada: FrontEnd, made: str) -> None:
    await asyncio.gather(*(ada.update(made, settings={"seed": seed}) for seed in range(2, 12)))
    assert (await ada.update(made))["conversation"]["version"] == 11


async def test_messages_and_branches_do_not_move_the_version(ada: FrontEnd, made: str) -> None:
    sent = await ada.said(script(words=1), conversation=made)
    await ada.said(script(words=1), conversation=made, parent=sent["reply"]["id"])
    await ada.select(sent["userMessage"]["id"])
    await ada.mark_read(made)
    await ada.set_state(made, "PAUSED")
    assert (await ada.update(made))["conversation"]["version"] == 1


async def test_what_is_changed_is_what_the_next_reply_is_asked_with(ada: FrontEnd, made: str) -> None:
    await ada.update(made, settings={"model": "small", "temperature": None})
    sent = await ada.said(script(words=1), conversation=made)
    assert sent["generation"]["settings"] == {**SETTINGS, "model": {"key": "small"}, "temperature": None}


async def test_rules_are_told_all_at_once(ada: FrontEnd, gus: Gus, made: str) -> None:
    policy = {"maxInputTokens": 0, "reserveOutputTokens": 1_000_001}
    given = {"title": " ", "tags": ["", "t" * 51], "settings": {"model": "none", "topP": 2}, "contextPolicy": policy}
    refused = await unchanged(gus, ada.update(made, **given))
    assert [(problem["rule"], ".".join(problem["path"])) for problem in refused["problems"]] == [
        ("EMPTY", "input.title"),
        ("EMPTY", "input.tags.0"),
        ("TOO_LONG", "input.tags.1"),
        ("UNKNOWN_VALUE", "input.settings.model"),
        ("OUT_OF_RANGE", "input.settings.topP"),
        ("OUT_OF_RANGE", "input.contextPolicy.maxInputTokens"),
        ("OUT_OF_RANGE", "input.contextPolicy.reserveOutputTokens"),
    ]


async def test_unknown_malformed_foreign_and_deleted_ones_are_answered_alike(
    ada: FrontEnd, bob: FrontEnd, gus: Gus
) -> None:
    theirs = (await bob.create())["conversation"]["id"]
    for conversation in (theirs, UNKNOWN["Conversation"], UNKNOWN["Message"], *MALFORMED):
        refused = await unchanged(gus, ada.update(conversation, title="Mine"))
        assert (refused["__typename"], refused["path"]) == ("NotFound", ["input", "conversation"])


async def test_a_paused_one_takes_changes_and_an_archived_one_does_not(ada: FrontEnd, gus: Gus, made: str) -> None:
    await ada.set_state(made, "PAUSED")
    assert (await ada.update(made, title="Wood"))["conversation"]["title"] == "Wood"
    await ada.set_state(made, "ARCHIVED")
    refused = await unchanged(gus, ada.update(made, title="Trees"))
    assert (refused["__typename"], refused["state"]) == ("ConversationClosed", "ARCHIVED")


async def test_a_change_takes_four_round_trips(ada: FrontEnd, made: str) -> None:
    query = "mutation($input: UpdateConversationInput!) {updateConversation(input: $input) {__typename}}"
    _, statements = await ada.counted(query, input={"conversation": made, "title": "Wood"})
    # BEGIN, the lock, the change with its event, COMMIT.
    assert len(statements) == 4


async def test_a_rename_moves_no_list_by_activity(ada: FrontEnd, made: str) -> None:
    latest = await ada.said(script(words=1))
    await ada.update(made, title="Wood")
    query = "query($order: ConversationOrder!) {viewer {conversations(orderBy: $order) {nodes {id}}}}"
    by_activity = (await ada.ask(query, order="ACTIVITY_DESC"))["viewer"]["conversations"]["nodes"]
    by_update = (await ada.ask(query, order="UPDATED_DESC"))["viewer"]["conversations"]["nodes"]
    assert [node["id"] for node in by_activity] == [here(latest)["conversation"], made]
    assert [node["id"] for node in by_update] == [made, here(latest)["conversation"]]
