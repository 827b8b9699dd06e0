"""One short transaction over a conversation."""

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from domain.conversation.entity import Conversation
from domain.conversation.store import Remembered
from domain.errors import Unavailable
from domain.generation.entity import FinishReason
from domain.world import ConversationId, GenerationId, UserId, World
from repositories.conversation.row import to_conversation
from repositories.conversation.tree import SqlTree
from repositories.database import Database, Session
from repositories.generation.detail import settings_json
from repositories.tables import EventKind

_REMEMBER = """
INSERT INTO idempotency_keys (owner_id, key, fingerprint, ids, created_at) VALUES ($1, $2, $3, $4, now())
ON CONFLICT DO NOTHING
"""

# Seq 0 stands before every reader's cursor: it is for sidebars only.
_OPEN = """
WITH opened AS (
INSERT INTO conversations (id, owner_id, title, title_source, state, version, created_at, updated_at, last_message_at,
  pinned, tags, message_count, root_count, settings, activations)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, $12, 0)
RETURNING id, owner_id
)
INSERT INTO conversation_events (conversation_id, seq, at, kind, owner_id)
SELECT id, 0, clock_timestamp(), $13::smallint, owner_id FROM opened
"""

_LOCK = """
SELECT * FROM conversations WHERE id = $2 AND owner_id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE
"""

# The last event of the conversation, which outlives it: a sidebar elsewhere has to hear of it.
_DELETE = """
WITH deleted AS (
  UPDATE conversations SET deleted_at = $3, updated_at = $3, event_seq = event_seq + 1
  WHERE id = $2 AND owner_id = $1 AND deleted_at IS NULL RETURNING id, owner_id, event_seq
)
INSERT INTO conversation_events (conversation_id, seq, at, kind, owner_id)
SELECT id, event_seq, clock_timestamp(), $4::smallint, owner_id FROM deleted
"""

# In the order of their ids, as everybody locks more than one run.
_STOP_ALL = """
WITH running AS (
  SELECT id FROM generations WHERE conversation_id = $1 AND ended_at IS NULL ORDER BY id FOR NO KEY UPDATE
)
UPDATE generations g SET stop_requested_at = coalesce(g.stop_requested_at, $2),
  stop_reason = CASE WHEN g.stop_requested_at IS NULL THEN $3 ELSE g.stop_reason END
FROM running r WHERE g.id = r.id
RETURNING g.id
"""


class Gates:
    """One at a time for each idempotency key in this process, so that twins in flight wait without a session."""

    def __init__(self, patience: timedelta) -> None:
        self._patience = patience
        self._locks: WeakValueDictionary[tuple[UserId, str], asyncio.Lock] = WeakValueDictionary()

    async def enter(self, owner: UserId, key: str, stack: AsyncExitStack) -> None:
        """Left with the stack. Raises Unavailable."""
        lock = self._locks.setdefault((owner, key), asyncio.Lock())
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                await stack.enter_async_context(lock)
        except TimeoutError:
            raise Unavailable("The same mutation is still being worked on: call again.") from None


class SqlWriting:
    """The transaction begins with the first statement."""

    def __init__(self, database: Database, world: World, gates: Gates, stack: AsyncExitStack) -> None:
        self._database, self._world, self._gates, self._stack = database, world, gates, stack
        self._begun: Session | None = None

    async def remember(self, owner: UserId, key: str, remembered: Remembered) -> bool:
        if self._begun is None:
            await self._gates.enter(owner, key, self._stack)
        ids = json.dumps({name: str(value) for name, value in remembered.ids.items()})
        session = await self._session()
        return await session.execute(_REMEMBER, owner, key, remembered.fingerprint, ids) == 1

    async def open(self, conversation: Conversation) -> SqlTree:
        session = await self._session()
        await session.execute(
            _OPEN,
            conversation.id,
            conversation.owner_id,
            conversation.title,
            conversation.title_source.value,
            conversation.state.value,
            conversation.version,
            conversation.created_at,
            conversation.updated_at,
            conversation.last_message_at,
            conversation.pinned,
            conversation.tags,
            settings_json(conversation.settings),
            EventKind.OPENED,
        )
        return SqlTree(session, conversation, self._world)

    async def lock(self, owner: UserId, conversation_id: ConversationId) -> SqlTree | None:
        session = await self._session()
        row = await session.fetchrow(_LOCK, owner, conversation_id)
        return None if row is None else SqlTree(session, to_conversation(row), self._world)

    async def delete(self, owner: UserId, conversation_id: ConversationId, at: datetime) -> list[GenerationId] | None:
        session = await self._session()
        if await session.execute(_DELETE, owner, conversation_id, at, EventKind.DELETED) == 0:
            return None
        stopped = await session.fetch(_STOP_ALL, conversation_id, at, FinishReason.CANCELLED.value)
        return [row["id"] for row in stopped]

    async def _session(self) -> Session:
        if self._begun is None:
            self._begun = await self._stack.enter_async_context(self._database.transaction())
        return self._begun
