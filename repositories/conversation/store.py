"""The domain's ConversationStore."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime, timedelta
from uuid import UUID

from domain.conversation.entity import Conversation, ConversationFilter, ConversationOrder
from domain.conversation.store import MOST_CONVERSATIONS, Memo, Remembered, Standing
from domain.errors import LimitedResource, LimitReached
from domain.page import Page, PageArgs
from domain.world import ConversationId, MessageId, UserId, World
from repositories.conversation.idle import rest_idle
from repositories.conversation.listing import listed
from repositories.conversation.purge import purge_deleted
from repositories.conversation.row import to_conversation
from repositories.conversation.tree import SqlTree
from repositories.conversation.writing import Gates, SqlWriting
from repositories.database import Database
from repositories.tables import EventKind, IdempotencyKeyRow

_RECALL = "SELECT fingerprint, ids FROM idempotency_keys WHERE owner_id = $1 AND key = $2"
_BY_ID = "SELECT * FROM conversations WHERE id = ANY($2) AND owner_id = $1 AND deleted_at IS NULL"

_FULL = "SELECT conversation_count FROM users WHERE id = $1 AND conversation_count >= $2"

# No edit of its user's: the version stays, so that none of theirs is refused for it.
_ENTITLE = """
WITH entitled AS (
  UPDATE conversations SET title = $3, title_source = 'AUTO', updated_at = greatest(updated_at, now()),
    event_seq = event_seq + 1
  WHERE id = $2 AND owner_id = $1 AND title IS NULL AND title_source <> 'USER' AND deleted_at IS NULL
  RETURNING id, event_seq, owner_id
)
INSERT INTO conversation_events (conversation_id, seq, at, kind, owner_id)
SELECT id, event_seq, clock_timestamp(), $4::smallint, owner_id FROM entitled
"""


class SqlConversations:
    def __init__(self, database: Database, world: World, most: int = MOST_CONVERSATIONS) -> None:
        """`most`: conversations of one owner."""
        self._database, self._world, self._most = database, world, most
        self._gates = Gates(database.patience)

    @asynccontextmanager
    async def writing(self, memo: Memo | None = None) -> AsyncIterator[SqlWriting]:
        # The gate first: who waits there holds no connection.
        async with self._gates.through(memo) if memo else nullcontext(), self._database.transaction() as session:
            yield SqlWriting(session, self._world, memo, self._most)

    async def require_room(self, owner: UserId) -> None:
        row = await self._database.fetchrow(_FULL, owner, self._most)
        if row is not None:
            raise LimitReached(LimitedResource.CONVERSATIONS, active=row["conversation_count"], limit=self._most)

    async def look(self, conversation: Conversation, message_id: MessageId | None) -> Standing:
        async with self._database.session() as session:
            return await SqlTree(session, conversation, self._world).look(message_id)

    async def recall(self, owner: UserId, key: str) -> Remembered | None:
        row = await self._database.fetchrow(_RECALL, owner, key)
        if row is None:
            return None
        return Remembered(row["fingerprint"], {name: UUID(text) for name, text in json.loads(row["ids"]).items()})

    async def conversations(self, owner: UserId, ids: Sequence[ConversationId]) -> dict[ConversationId, Conversation]:
        rows = await self._database.fetch(_BY_ID, owner, ids)
        return {ConversationId(row["id"]): to_conversation(row) for row in rows}

    async def listed(
        self, owner: UserId, having: ConversationFilter, order: ConversationOrder, page: PageArgs
    ) -> Page[Conversation]:
        return await listed(self._database, owner, having, order, page)

    async def rest_idle(self, idle_for: timedelta, limit: int) -> int:
        return await rest_idle(self._database, idle_for, limit)

    async def entitle(self, owner: UserId, conversation_id: ConversationId, title: str) -> bool:
        return (
            await self._database.execute(_ENTITLE, owner, conversation_id, title, EventKind.CONVERSATION_CHANGED) == 1
        )

    async def forget_keys(self, before: datetime) -> int:
        async with self._database.rows() as client:
            return await IdempotencyKeyRow.filter(created_at__lt=before).using_db(client).delete()

    async def purge_deleted(self, limit: int) -> int:
        return await purge_deleted(self._database, limit)
