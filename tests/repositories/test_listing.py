from dataclasses import replace
from datetime import timedelta

import pytest

from domain.conversation.entity import ConversationFilter, ConversationOrder, ConversationState
from domain.errors import BadPage
from domain.page import PageArgs, open_cursor
from tests.repositories.story import NOW, Story

DAY = timedelta(days=1)
ORDERS = {
    ConversationOrder.ACTIVITY_DESC: "dbca",
    ConversationOrder.ACTIVITY_ASC: "acbd",
    ConversationOrder.UPDATED_DESC: "abcd",
    ConversationOrder.CREATED_DESC: "dcba",
    ConversationOrder.CREATED_ASC: "abcd",
    ConversationOrder.TITLE_ASC: "bdac",
}


@pytest.fixture
async def listed(story: Story) -> Story:
    """a to d by age; c is untitled; a and d never had a message."""
    for n, (title, tag, last) in enumerate(
        [("c tree", "a", None), ("A Tree", "b", 2), (None, "c", 1), ("b", "d", None)]
    ):
        await story.conversation(
            title=title,
            tags=(tag, "x"),
            created_at=NOW + n * DAY,
            updated_at=NOW + (10 - n) * DAY,
            last_message_at=None if last is None else NOW + DAY + last * DAY / 2,
            pinned=tag == "b",
        )
    await story.conversation(tags=("archived",), state=ConversationState.ARCHIVED)
    return story


async def names(story: Story, having: ConversationFilter, order: ConversationOrder, page: PageArgs) -> str:
    found = await story.conversations.listed(story.owner, having, order, page)
    return "".join(conversation.tags[0] for conversation in found.nodes)


@pytest.mark.parametrize(("order", "expected"), ORDERS.items())
async def test_every_order_pages_both_ways_without_a_loss(
    listed: Story, order: ConversationOrder, expected: str
) -> None:
    everything = ConversationFilter()
    assert await names(listed, everything, order, PageArgs(100)) == expected
    for backward in (False, True):
        seen, page = "", PageArgs(1, backward)
        while len(seen) < 10:
            found = await listed.conversations.listed(listed.owner, everything, order, page)
            seen += found.nodes[0].tags[0]
            cursor = open_cursor(found.edges[0].cursor)
            page = replace(page, before=cursor) if backward else replace(page, after=cursor)
            if not (found.has_previous_page if backward else found.has_next_page):
                break
        assert seen == (expected[::-1] if backward else expected)


@pytest.mark.parametrize(
    ("having", "expected"),
    [
        (ConversationFilter(states=frozenset({ConversationState.ARCHIVED})), "archived"),
        (ConversationFilter(states=frozenset(), tags=frozenset({"archived"})), "archived"),
        (ConversationFilter(tags=frozenset({"x", "c"})), "c"),
        (ConversationFilter(pinned=True), "b"),
        (ConversationFilter(pinned=False), "acd"),
        (ConversationFilter(title_contains="TREE"), "ab"),
        (ConversationFilter(title_contains="%"), ""),
        (ConversationFilter(updated_after=NOW + 8 * DAY), "ab"),
    ],
)
async def test_a_filter_keeps_what_it_names(listed: Story, having: ConversationFilter, expected: str) -> None:
    assert await names(listed, having, ConversationOrder.CREATED_ASC, PageArgs(100)) == expected


async def test_others_and_deleted_conversations_are_not_listed(listed: Story) -> None:
    [first, *_] = (await listed.conversations.listed(listed.owner, ConversationFilter(), *by_age())).nodes
    async with listed.conversations.writing() as writing:
        assert await writing.delete(listed.owner, first.id, NOW) == []
    assert await names(listed, ConversationFilter(), *by_age()) == "bcd"
    stranger = await Story.begun(listed.database)
    assert await names(stranger, ConversationFilter(), *by_age()) == ""


@pytest.mark.parametrize(
    "cursor", ["", "nonsense", "01a20c62-88da-77a4-946f-db08ecdae374", "x 2026-01-01T00:00:00+00:00"]
)
async def test_a_made_up_cursor_is_refused(listed: Story, cursor: str) -> None:
    with pytest.raises(BadPage):
        await names(listed, ConversationFilter(), ConversationOrder.ACTIVITY_DESC, PageArgs(after=cursor))


def by_age() -> tuple[ConversationOrder, PageArgs]:
    return ConversationOrder.CREATED_ASC, PageArgs(100)
