"""Runs in the order in which they were accepted: those of a conversation, latest first, and those of a reply."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

from domain.errors import BadPage
from domain.generation.entity import Generation
from domain.generation.log import GenerationFilter
from domain.page import Page, PageArgs, page_of
from domain.world import ConversationId, MessageId, UserId
from repositories.database import Database
from repositories.generation.row import to_generation

_EARLIEST = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
_LATEST = (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))

_OF_CONVERSATION = """
SELECT g.* FROM generations g JOIN conversations c ON c.id = g.conversation_id AND c.owner_id = $1 AND c.deleted_at IS NULL
WHERE g.conversation_id = $2 AND (g.queued_at, g.id) < ($3, $4) {unfinished}
  AND (cardinality($5::text[]) = 0 OR g.status = ANY($5)) AND (cardinality($6::text[]) = 0 OR g.trigger = ANY($6))
ORDER BY g.queued_at DESC, g.id DESC LIMIT $7
"""

_OF_REPLIES = """
SELECT g.* FROM unnest($2::uuid[]) AS reply (id) CROSS JOIN LATERAL (
  SELECT * FROM generations WHERE reply_id = reply.id AND (queued_at, id) > ($3, $4) ORDER BY queued_at, id LIMIT $5
) g
JOIN conversations c ON c.id = g.conversation_id AND c.owner_id = $1 AND c.deleted_at IS NULL
ORDER BY g.queued_at, g.id
"""


async def of_conversation(
    database: Database, owner: UserId, conversation_id: ConversationId, having: GenerationFilter, page: PageArgs
) -> Page[Generation]:
    before = _opened(page.after) if page.after is not None else _LATEST
    # They have an index of their own: what is running now is asked for all the time, and ended runs are many.
    unfinished = "AND g.ended_at IS NULL" if having.unfinished else ""
    rows = await database.fetch(
        _OF_CONVERSATION.format(unfinished=unfinished),
        owner,
        conversation_id,
        *before,
        [status.value for status in having.statuses],
        [trigger.value for trigger in having.triggers],
        page.size + 1,
    )
    return page_of(list(map(to_generation, rows)), page, _cursor)


async def of_replies(
    database: Database, owner: UserId, replies: Sequence[MessageId], page: PageArgs
) -> dict[MessageId, Page[Generation]]:
    after = _opened(page.after) if page.after is not None else _EARLIEST
    found: dict[MessageId, list[Generation]] = defaultdict(list)
    for row in await database.fetch(_OF_REPLIES, owner, replies, *after, page.size + 1):
        found[MessageId(row["reply_id"])].append(to_generation(row))
    return {reply: page_of(found[reply], page, _cursor) for reply in replies}


def _cursor(run: Generation) -> str:
    return f"{run.id} {run.queued_at.isoformat()}"


def _opened(cursor: str) -> tuple[datetime, UUID]:
    """Raises BadPage."""
    run_id, _, at = cursor.partition(" ")
    with suppress(ValueError):
        queued_at = datetime.fromisoformat(at)
        if queued_at.tzinfo is not None:
            return queued_at, UUID(run_id)
    raise BadPage("`after` takes a cursor that this list has given.")
