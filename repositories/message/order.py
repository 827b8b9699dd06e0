"""Messages in the order of their numbers: the whole tree, and its leaves."""

from collections.abc import Collection
from uuid import UUID

from domain.message import Message, MessageFilter
from domain.page import Page, PageArgs, page_of
from domain.world import ConversationId, UserId
from repositories.database import Database
from repositories.message.path import message_cursor, no_such_cursor
from repositories.message.row import COLUMNS, OWNED, RUN, to_message

_BEYOND_ANY = 2**31 - 1

_NUMBERS = f"""
SELECT m.id, m.number FROM messages m {OWNED} WHERE m.conversation_id = ANY($2) AND m.id = ANY($3)
"""

_IN_CREATION_ORDER = """
SELECT {columns}
FROM messages m {owned} {run}
WHERE m.conversation_id = $2 AND m.number > $3 AND m.number < $4
  AND (cardinality($6::text[]) = 0 OR m.role = ANY($6))
  AND (cardinality($7::text[]) = 0 OR coalesce(run.live_status, m.status) = ANY($7))
  AND ($8::timestamptz IS NULL OR m.received_at > $8) AND ($9::timestamptz IS NULL OR m.received_at < $9)
ORDER BY m.number {direction} LIMIT $5
"""

_LEAVES = """
SELECT {columns}
FROM (
  SELECT b.conversation_id, b.tip_number FROM branches b
  JOIN conversations c ON c.id = b.conversation_id AND c.owner_id = $1 AND c.deleted_at IS NULL
  WHERE b.conversation_id = $2 AND b.tip_number > $3 AND b.tip_number < $4
  ORDER BY b.tip_number {direction} LIMIT $5
) b JOIN messages m ON m.conversation_id = b.conversation_id AND m.number = b.tip_number {run}
ORDER BY m.number {direction}
"""


async def in_creation_order(
    database: Database, owner: UserId, conversation_id: ConversationId, page: PageArgs, having: MessageFilter
) -> Page[Message]:
    after, before = await number_bounds(database, owner, {conversation_id}, page)
    sql = _IN_CREATION_ORDER.format(columns=COLUMNS, owned=OWNED, run=RUN, direction="DESC" if page.backward else "ASC")
    rows = await database.fetch(
        sql,
        owner,
        conversation_id,
        after,
        before,
        page.size + 1,
        [role.value for role in having.roles],
        [status.value for status in having.statuses],
        having.received_after,
        having.received_before,
    )
    found = [to_message(row, owner) for row in (reversed(rows) if page.backward else rows)]
    return page_of(found, page, lambda message: str(message.id))


async def leaves(database: Database, owner: UserId, conversation_id: ConversationId, page: PageArgs) -> Page[Message]:
    """The list runs from the latest to the oldest, so `after` a leaf are the smaller numbers."""
    below, above = await number_bounds(database, owner, {conversation_id}, page, descending=True)
    sql = _LEAVES.format(columns=COLUMNS, run=RUN, direction="ASC" if page.backward else "DESC")
    rows = await database.fetch(sql, owner, conversation_id, below, above, page.size + 1)
    found = [to_message(row, owner) for row in (reversed(rows) if page.backward else rows)]
    return page_of(found, page, lambda message: str(message.id))


async def number_bounds(
    database: Database,
    owner: UserId,
    conversations: Collection[ConversationId],
    page: PageArgs,
    *,
    descending: bool = False,
) -> tuple[int, int]:
    """The numbers between which the page lies; no statement unless there are cursors. Raises BadPage."""
    ids = {cursor: message_cursor(cursor) for cursor in (page.after, page.before) if cursor is not None}
    numbers: dict[UUID, int] = {}
    if ids:
        rows = await database.fetch(_NUMBERS, owner, list(conversations), list(ids.values()))
        numbers = {row["id"]: row["number"] for row in rows}
    if len(numbers) < len(set(ids.values())):
        raise no_such_cursor()
    first, last = (page.before, page.after) if descending else (page.after, page.before)
    return (
        0 if first is None else numbers[ids[first]],
        _BEYOND_ANY if last is None else numbers[ids[last]],
    )
