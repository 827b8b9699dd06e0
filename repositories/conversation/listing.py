"""A user's conversations, filtered, in any of the orders, by cursors that hold what a row was sorted by."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from domain.conversation.entity import Conversation, ConversationFilter, ConversationOrder
from domain.errors import BadPage
from domain.page import Edge, Page, PageArgs, page_of
from domain.text import storable
from domain.world import UserId
from repositories.conversation.row import to_conversation
from repositories.database import Database


@dataclass(frozen=True, slots=True)
class _Sorting:
    key: str
    descending: bool = False

    @property
    def timed(self) -> bool:
        return self.key != _TITLE


_ACTIVITY = "coalesce(last_message_at, created_at)"
_TITLE = "CASE WHEN title IS NULL THEN '1' ELSE '0' || lower(title) END"  # untitled ones last

_SORTINGS = {
    ConversationOrder.ACTIVITY_DESC: _Sorting(_ACTIVITY, descending=True),
    ConversationOrder.ACTIVITY_ASC: _Sorting(_ACTIVITY),
    ConversationOrder.UPDATED_DESC: _Sorting("updated_at", descending=True),
    ConversationOrder.CREATED_DESC: _Sorting("created_at", descending=True),
    ConversationOrder.CREATED_ASC: _Sorting("created_at"),
    ConversationOrder.TITLE_ASC: _Sorting(_TITLE),
}


async def listed(
    database: Database, owner: UserId, having: ConversationFilter, order: ConversationOrder, page: PageArgs
) -> Page[Conversation]:
    sorting = _SORTINGS[order]
    values: list[object] = [owner]
    conditions = [*_filters(having, values), *_bounds(sorting, page, values)]
    direction = "DESC" if sorting.descending != page.backward else "ASC"
    rows = await database.fetch(
        f"SELECT *, {sorting.key} AS sorted_by FROM conversations WHERE {' AND '.join(conditions)}"
        f" ORDER BY {sorting.key} {direction}, id {direction} LIMIT {page.size + 1}",
        *values,
    )
    found = page_of(rows[::-1] if page.backward else rows, page, _cursor)
    edges = tuple(Edge(edge.cursor, to_conversation(edge.node)) for edge in found.edges)
    return Page(edges, found.has_next_page, found.has_previous_page)


def _filters(having: ConversationFilter, values: list[object]) -> list[str]:
    conditions = ["owner_id = $1", "deleted_at IS NULL"]

    def require(condition: str, value: object) -> None:
        values.append(value)
        conditions.append(condition.format(f"${len(values)}"))

    if having.states:
        require("state = ANY({})", [state.value for state in having.states])
    if having.pinned is not None:
        require("pinned = {}", having.pinned)
    if having.tags:
        require("tags @> {}", list(having.tags))
    if having.title_contains:
        require("position(lower({}) IN lower(title)) > 0", having.title_contains)
    if having.unread is not None:
        require("has_unread = {}", having.unread)
    if having.updated_after is not None:
        require("updated_at > {}", having.updated_after)
    return conditions


def _bounds(sorting: _Sorting, page: PageArgs, values: list[object]) -> list[str]:
    conditions = []
    for cursor, greater in ((page.after, not sorting.descending), (page.before, sorting.descending)):
        if cursor is not None:
            values += _opened(cursor, sorting)
            conditions.append(f"({sorting.key}, id) {'>' if greater else '<'} (${len(values) - 1}, ${len(values)})")
    return conditions


def _cursor(row: Record) -> str:
    key = row["sorted_by"]
    return f"{row['id']} {key.isoformat() if isinstance(key, datetime) else key}"


def _opened(cursor: str, sorting: _Sorting) -> tuple[object, UUID]:
    """Raises BadPage."""
    row_id, _, key = cursor.partition(" ")
    try:
        if not sorting.timed:
            return (key, UUID(row_id)) if storable(key) else _refused()
        at = datetime.fromisoformat(key)
        return (at, UUID(row_id)) if at.tzinfo else _refused()
    except ValueError:
        return _refused()


def _refused() -> tuple[object, UUID]:
    raise BadPage("`after` and `before` take a cursor that this list has given, in the same order.")
