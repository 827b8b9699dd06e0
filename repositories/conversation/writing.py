"""One short transaction over a conversation."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from domain.conversation.commands import ForkScope
from domain.conversation.entity import Conversation
from domain.conversation.store import Draft, KeyTaken, Memo, NewRun, Part
from domain.errors import Unavailable
from domain.generation.entity import FinishReason
from domain.message import Message
from domain.quota.claim import Claim
from domain.quota.counter import Counted, Payer, Quota
from domain.world import ConversationId, GenerationId, UserId, World
from repositories.conversation.fork import copy, part
from repositories.conversation.memo import REMEMBERED, memo_columns
from repositories.conversation.opening import Beginning, SqlOpening, require_opened
from repositories.conversation.row import policy_json, to_conversation
from repositories.conversation.tree import SqlTree
from repositories.database import Session
from repositories.generation.detail import settings_json
from repositories.instruction import copy as copy_instruction
from repositories.quota.row import to_counted
from repositories.quota.sql import COUNTED, COUNTERS_NOW, claim_columns
from repositories.quota.store import tell
from repositories.tables import EventKind

_RESERVE = f"{REMEMBERED}, {COUNTED} {COUNTERS_NOW}"

# $19: how many its owner may have. The owner's row is locked where it is counted, so that openings wait for each other.
# Seq 0 stands before every reader's cursor: it is for sidebars only.
_OPEN = f"""
{REMEMBERED}, counted AS (
  UPDATE users SET conversation_count = conversation_count + 1 FROM key
  WHERE key.free AND users.id = $6 AND conversation_count < $19 RETURNING true
), opened AS (
  INSERT INTO conversations (id, owner_id, title, title_source, state, version, created_at, updated_at, last_message_at,
    pinned, tags, message_count, root_count, settings, context_policy, forked_from_id, activations)
  SELECT $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, 0, $16, $17, $18, 0 FROM counted
  RETURNING id, owner_id
), told AS (
  INSERT INTO conversation_events (conversation_id, seq, at, kind, owner_id)
  SELECT id, 0, clock_timestamp(), {EventKind.OPENED:d}, owner_id FROM opened
)
SELECT key.free, EXISTS (SELECT 1 FROM counted) AS has_room,
  (SELECT conversation_count FROM users WHERE id = $6) AS active
FROM key
"""

# LATERAL: the key before the lock, and no lock without the key.
_LOCK = f"""
{REMEMBERED}
SELECT key.free, c.* FROM key LEFT JOIN LATERAL (
  SELECT * FROM conversations
  WHERE id = $5 AND owner_id = $6 AND deleted_at IS NULL AND key.free FOR NO KEY UPDATE
) c ON true
"""

# The last event of the conversation, which outlives it: a sidebar elsewhere has to hear of it.
_DELETE = """
WITH deleted AS (
  UPDATE conversations SET deleted_at = $3, updated_at = $3, event_seq = event_seq + 1
  WHERE id = $2 AND owner_id = $1 AND deleted_at IS NULL RETURNING id, owner_id, event_seq
), counted AS (
  UPDATE users u SET conversation_count = u.conversation_count - 1 FROM deleted WHERE u.id = deleted.owner_id
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

    @asynccontextmanager
    async def through(self, memo: Memo) -> AsyncIterator[None]:
        """Raises Unavailable."""
        lock = self._locks.setdefault((memo.owner, memo.key), asyncio.Lock())
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                await lock.acquire()
        except TimeoutError:
            raise Unavailable("The same mutation is still being worked on: call again.") from None
        try:
            yield
        finally:
            lock.release()


class SqlWriting:
    def __init__(self, session: Session, world: World, memo: Memo | None, most: int) -> None:
        """`most`: conversations of one owner."""
        self._session, self._world, self._memo, self._most = session, world, memo, most

    async def reserve(self, payer: Payer, claim: Claim) -> Counted:
        [row] = await self._session.fetch(
            _RESERVE,
            *memo_columns(self._memo),
            *claim_columns(payer, claim),
        )
        if row["counters"] is None:
            raise KeyTaken
        self._memo = None
        return to_counted(row)

    async def tell(self, crossed: Sequence[Quota]) -> None:
        await tell(self._session, crossed)

    def opening(
        self, conversation: Conversation, instruction: str | None, drafts: Sequence[Draft], run: NewRun
    ) -> SqlOpening:
        return SqlOpening(
            self._session, self._world, self._memo, Beginning(conversation, instruction, drafts, run), self._most
        )

    async def open(self, conversation: Conversation, instruction: str | None = None) -> SqlTree:
        [opened] = await self._session.fetch(
            _OPEN,
            *memo_columns(self._memo),
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
            policy_json(conversation.context_policy),
            conversation.forked_from_id,
            self._most,
        )
        require_opened(opened, self._most)
        tree = SqlTree(self._session, conversation, self._world)
        if instruction is not None:
            await tree.instruct(instruction)
        return tree

    async def lock(self, owner: UserId, conversation_id: ConversationId) -> SqlTree | None:
        [row] = await self._session.fetch(_LOCK, *memo_columns(self._memo), conversation_id, owner)
        if not row["free"]:
            raise KeyTaken
        return None if row["id"] is None else SqlTree(self._session, to_conversation(row), self._world)

    async def part(self, message: Message, scope: ForkScope) -> Part | None:
        return await part(self._session, message, scope)

    async def copy(self, part: Part, fork: Conversation) -> Conversation:
        await self.open(fork)
        await copy_instruction(self._session, self._world, part.message.conversation_id, fork.id)
        return await copy(self._session, part, fork)

    async def delete(self, owner: UserId, conversation_id: ConversationId, at: datetime) -> list[GenerationId] | None:
        if await self._session.execute(_DELETE, owner, conversation_id, at, EventKind.DELETED) == 0:
            return None
        stopped = await self._session.fetch(_STOP_ALL, conversation_id, at, FinishReason.CANCELLED.value)
        return [row["id"] for row in stopped]
