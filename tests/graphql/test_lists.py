"""viewer.conversations: orders, filters and pages."""

from typing import Any

import pytest

from server.compose import Gus
from tests.graphql.front_end import FrontEnd, script

LIST = """
query(
  $filter: ConversationFilter, $orderBy: ConversationOrder! = ACTIVITY_DESC
  $first: Int, $after: String, $last: Int, $before: String
) {
  viewer {
    conversations(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
      nodes { title }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}
"""

ORDERS = {
    "ACTIVITY_DESC": ["beech", None, "Cedar", "Ash"],
    "ACTIVITY_ASC": ["Ash", "Cedar", None, "beech"],
    "UPDATED_DESC": ["beech", None, "Cedar", "Ash"],
    "CREATED_DESC": [None, "Cedar", "Ash", "beech"],
    "CREATED_ASC": ["beech", "Ash", "Cedar", None],
    "TITLE_ASC": ["Ash", "beech", "Cedar", None],
}


@pytest.fixture
async def shelf(ada: FrontEnd, bob: FrontEnd) -> dict[str | None, str]:
    """Four conversations; the first has a message, and so the last activity. And one of somebody else's."""
    made: list[dict[str, Any]] = [
        {"title": "beech", "tags": ["wood", "old"], "pinned": True},
        {"title": "Ash", "tags": ["wood"]},
        {"title": "Cedar"},
        {},
    ]
    ids = {one.get("title"): (await ada.create(**one))["conversation"]["id"] for one in made}
    await ada.said(script(words=1), conversation=ids["beech"])
    await bob.create(title="Bob's", tags=["wood"])
    return ids


async def titles(ada: FrontEnd, **arguments: object) -> list[str | None]:
    page = (await ada.ask(LIST, **arguments))["viewer"]["conversations"]
    return [node["title"] for node in page["nodes"]]


@pytest.mark.usefixtures("shelf")
async def test_every_order_pages_both_ways(ada: FrontEnd) -> None:
    for order, expected in ORDERS.items():
        assert await titles(ada, orderBy=order) == expected
        assert await paged(ada, order, size="first", cursor=("after", "endCursor"), more="hasNextPage") == expected
        backwards = await paged(ada, order, size="last", cursor=("before", "startCursor"), more="hasPreviousPage")
        assert backwards == expected[::-1]


async def paged(ada: FrontEnd, order: str, *, size: str, cursor: tuple[str, str], more: str) -> list[str | None]:
    """Page by page, each of one; backwards they come from the end."""
    found: list[str | None] = []
    arguments: dict[str, object] = {"orderBy": order, size: 1}
    while True:
        page = (await ada.ask(LIST, **arguments))["viewer"]["conversations"]
        assert page["nodes"] or not page["pageInfo"][more]
        found += [node["title"] for node in page["nodes"]]
        assert len(found) <= len(ORDERS[order])
        if not page["pageInfo"][more]:
            return found
        arguments[cursor[0]] = page["pageInfo"][cursor[1]]


async def test_the_end_of_a_reply_is_activity(ada: FrontEnd, shelf: dict[str | None, str]) -> None:
    sent = await ada.said(script(words=1), conversation=shelf["Ash"])
    query = "query($id: ID!) {conversation(id: $id) {lastMessageAt updatedAt activeLeaf {completedAt}}}"
    ash = (await ada.ask(query, id=shelf["Ash"]))["conversation"]
    assert ash["lastMessageAt"] == ash["updatedAt"] == ash["activeLeaf"]["completedAt"]
    assert ash["lastMessageAt"] >= sent["userMessage"]["receivedAt"]
    assert (await titles(ada))[0] == "Ash"


async def test_filters_hold_together(ada: FrontEnd, gus: Gus, shelf: dict[str | None, str]) -> None:
    assert await titles(ada, filter={}) == ORDERS["ACTIVITY_DESC"]
    assert await titles(ada, filter={"pinned": True}) == ["beech"]
    assert await titles(ada, filter={"pinned": False}) == [None, "Cedar", "Ash"]
    assert await titles(ada, filter={"tags": ["wood"]}) == ["beech", "Ash"]
    assert await titles(ada, filter={"tags": ["old", "wood"]}) == ["beech"]
    assert await titles(ada, filter={"tags": [], "pinned": None, "titleContains": None}) == ORDERS["ACTIVITY_DESC"]
    assert await titles(ada, filter={"titleContains": "E"}) == ["beech", "Cedar"]
    assert await titles(ada, filter={"titleContains": "%"}) == []
    assert await titles(ada, filter={"tags": ["wood"], "pinned": False, "titleContains": "as"}) == ["Ash"]
    assert await titles(ada, filter={"updatedAfter": "2999-01-01T00:00:00Z"}) == []
    assert await titles(ada, filter={"updatedAfter": "2000-01-01T00:00:00Z"}) == ORDERS["ACTIVITY_DESC"]


async def test_archived_conversations_are_shown_when_asked_for(ada: FrontEnd, shelf: dict[str | None, str]) -> None:
    await ada.set_state(shelf["Ash"], "ARCHIVED")
    assert await titles(ada) == ["beech", None, "Cedar"]
    assert await titles(ada, filter={"states": ["ARCHIVED"]}) == ["Ash"]
    assert await titles(ada, filter={"states": ["ARCHIVED", "ACTIVE"]}) == ORDERS["ACTIVITY_DESC"]
    assert await titles(ada, filter={"pinned": False}) == [None, "Cedar"]


@pytest.mark.usefixtures("shelf")
async def test_pages_that_mean_nothing_are_refused(ada: FrontEnd) -> None:
    page = (await ada.ask(LIST, first=1, orderBy="TITLE_ASC"))["viewer"]["conversations"]["pageInfo"]
    for arguments in (
        {"first": 0},
        {"first": 101},
        {"last": 101},
        {"first": 1, "last": 1},
        {"after": "?"},
        {"after": page["endCursor"], "orderBy": "CREATED_ASC"},
    ):
        assert await ada.refused(LIST, **arguments) == ["BAD_PAGE"], arguments


async def test_a_page_of_conversations_with_their_leaves_is_two_statements(ada: FrontEnd) -> None:
    query = "query($first: Int) {viewer {conversations(first: $first) {nodes {id title activeLeaf {id text}}}}}"
    for _ in range(4):
        await ada.said(script(words=1))
    _, few = await ada.counted(query, first=1)
    _, many = await ada.counted(query, first=4)
    assert (len(few), len(many)) == (2, 2)
