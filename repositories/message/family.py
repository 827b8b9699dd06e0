"""Siblings: the children of one message, or the roots of one conversation."""

from collections import defaultdict
from collections.abc import Sequence

from asyncpg import Record

from domain.message import Family, Message
from domain.page import Page, PageArgs, page_of
from domain.world import UserId
from repositories.database import Database
from repositories.message.order import number_bounds
from repositories.message.row import COLUMNS, RUN, to_message

_ASKED = """
unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY AS f (conversation_id, parent_id, n)
JOIN conversations c ON c.id = f.conversation_id AND c.owner_id = $1 AND c.deleted_at IS NULL
"""

# Two arms, for an index serves "equal" and "is null" but not "is not distinct from"; of each family one arm runs.
_FAMILIES = """
SELECT f.n, {columns}
FROM {asked} CROSS JOIN LATERAL (
  (SELECT * FROM messages WHERE conversation_id = f.conversation_id AND parent_id = f.parent_id
     AND number > $4 AND number < $5 ORDER BY sibling_index {direction} LIMIT $6)
  UNION ALL
  (SELECT * FROM messages WHERE f.parent_id IS NULL AND conversation_id = f.conversation_id AND parent_id IS NULL
     AND number > $4 AND number < $5 ORDER BY sibling_index {direction} LIMIT $6)
) m {run}
ORDER BY f.n, m.sibling_index
"""

_SIZES = f"""
SELECT f.n, CASE WHEN f.parent_id IS NULL THEN c.root_count ELSE m.child_count END AS size
FROM {_ASKED} LEFT JOIN messages m ON m.conversation_id = f.conversation_id AND m.id = f.parent_id
"""

_AT = f"""
SELECT f.n, {COLUMNS}
FROM unnest($2::uuid[], $3::uuid[], $4::int[]) WITH ORDINALITY AS f (conversation_id, parent_id, sibling_index, n)
JOIN conversations c ON c.id = f.conversation_id AND c.owner_id = $1 AND c.deleted_at IS NULL
CROSS JOIN LATERAL (
  SELECT * FROM messages WHERE conversation_id = f.conversation_id AND parent_id = f.parent_id
    AND sibling_index = f.sibling_index
  UNION ALL
  SELECT * FROM messages WHERE f.parent_id IS NULL AND conversation_id = f.conversation_id AND parent_id IS NULL
    AND sibling_index = f.sibling_index
) m {RUN}
"""


async def families(
    database: Database, owner: UserId, asked: Sequence[Family], page: PageArgs
) -> dict[Family, Page[Message]]:
    after, before = await number_bounds(database, owner, {family.conversation_id for family in asked}, page)
    sql = _FAMILIES.format(columns=COLUMNS, asked=_ASKED, run=RUN, direction="DESC" if page.backward else "ASC")
    rows = await database.fetch(sql, owner, *_columns(asked), after, before, page.size + 1)
    found: dict[int, list[Message]] = defaultdict(list)
    for row in rows:
        found[row["n"]].append(to_message(row, owner))
    return {family: page_of(found[n], page, lambda message: str(message.id)) for n, family in enumerate(asked, 1)}


async def family_sizes(database: Database, owner: UserId, asked: Sequence[Family]) -> dict[Family, int]:
    rows: list[Record] = await database.fetch(_SIZES, owner, *_columns(asked))
    return {asked[row["n"] - 1]: row["size"] for row in rows if row["size"] is not None}


async def siblings_at(
    database: Database, owner: UserId, places: Sequence[tuple[Family, int]]
) -> dict[tuple[Family, int], Message]:
    indexes = [index for _, index in places]
    rows = await database.fetch(_AT, owner, *_columns([family for family, _ in places]), indexes)
    return {places[row["n"] - 1]: to_message(row, owner) for row in rows}


def _columns(asked: Sequence[Family]) -> tuple[list[object], list[object]]:
    return [family.conversation_id for family in asked], [family.parent_id for family in asked]
