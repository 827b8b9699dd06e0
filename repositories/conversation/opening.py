"""A conversation that begins with a question and its run: key, counters and rows in one statement."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from asyncpg import Record

from domain.conversation.entity import Conversation
from domain.conversation.store import Draft, Grown, KeyTaken, Memo, NewRun
from domain.errors import LimitedResource, LimitReached
from domain.generation.entity import Generation
from domain.message import Place
from domain.quota.claim import Claim
from domain.quota.counter import Counted, Payer, Quota
from domain.world import BranchId, World
from repositories.conversation.growth import BEGIN, PLACED, draft_columns, placed, run_columns
from repositories.conversation.memo import REMEMBERED, memo_columns
from repositories.conversation.row import policy_json
from repositories.conversation.tree import SqlTree
from repositories.database import Session
from repositories.generation.detail import notices_json, settings_json
from repositories.quota.row import to_counted
from repositories.quota.sql import COUNTED, COUNTERS_NOW, claim_columns
from repositories.quota.store import tell
from repositories.tables import EventKind

_GROWTH_VALUES = 42


def _after_growth(sql: str) -> str:
    """The same with its values behind those of BEGIN and PLACED."""
    return re.sub(r"\$(\d+)", lambda match: f"${int(match[1]) + _GROWTH_VALUES}", sql)


# The counters are locked before the owner's row, and that before the first row of the conversation, as everywhere. $68: how
# many conversations the owner may have. Seq 0 stands before every reader's cursor: it
# is for sidebars only.
_OPEN = f"""
{_after_growth(f"{REMEMBERED}, {COUNTED}")}
, room AS (
  UPDATE users SET conversation_count = conversation_count + 1 FROM key
  WHERE key.free AND (SELECT count(*) FROM counted) >= 0 AND users.id = $55 AND conversation_count < $68
  RETURNING true
), conversation AS (
  INSERT INTO conversations (id, owner_id, title, title_source, state, version, created_at, updated_at, last_message_at,
    pinned, tags, message_count, root_count, settings, context_policy, activations, active_leaf_id, event_seq)
  SELECT $1, $55, $56, $57, $58, $59, $60, $3, $3, $61, $62, $63, $64, $65, $66, 1, $2, $67
  FROM room
  RETURNING *
), told AS (
  INSERT INTO conversation_events (conversation_id, seq, at, kind, owner_id)
  SELECT id, 0, clock_timestamp(), {EventKind.OPENED:d}, owner_id FROM conversation
), place AS (
  SELECT $32::uuid AS branch_id, $31::uuid AS parent_branch_id, NULL::int AS fork_depth, 0 AS depth, 1 AS sibling_index
  FROM conversation
)
{PLACED}
{BEGIN}
{_after_growth(COUNTERS_NOW)}, (SELECT free FROM key) AS free,
  EXISTS (SELECT 1 FROM room) AS has_room, (SELECT conversation_count FROM users WHERE id = $55) AS active
"""

_NOTICES = "UPDATE generations SET notices = $2 WHERE id = $1"


@dataclass(frozen=True, slots=True)
class Beginning:
    """`instruction`: what the conversation says from its start on."""

    conversation: Conversation
    instruction: str | None
    drafts: Sequence[Draft]
    run: NewRun


class SqlOpening:
    def __init__(self, session: Session, world: World, memo: Memo | None, beginning: Beginning, most: int) -> None:
        """`most`: conversations of one owner."""
        self._most = most
        self._session, self._world, self._memo, self._beginning = session, world, memo, beginning
        drafts = beginning.drafts
        place = Place(BranchId(world.new_id()), None, depth=0, number=1, sibling_index=1)
        conversation = _begun(beginning.conversation, drafts)
        self.grown = Grown(conversation, placed(drafts, conversation, place))

    async def reserve(self, payer: Payer, claim: Claim) -> Counted:
        conversation, leaf = self.grown.conversation, self.grown.messages[-1]
        [row] = await self._session.fetch(
            _OPEN,
            conversation.id,
            leaf.id,
            leaf.received_at,
            *run_columns(self._beginning.run),
            None,
            leaf.place.branch_id,
            *draft_columns(self._beginning.drafts),
            *memo_columns(self._memo),
            *claim_columns(payer, claim),
            *_columns(conversation),
            self._most,
        )
        require_opened(row, self._most)
        if self._beginning.instruction is not None:
            await SqlTree(self._session, conversation, self._world).instruct(self._beginning.instruction)
        return to_counted(row)

    async def tell(self, crossed: Sequence[Quota]) -> None:
        await tell(self._session, crossed)

    async def note(self, run: Generation) -> None:
        await self._session.execute(_NOTICES, run.id, notices_json(run.notices))


def require_opened(row: Record, most: int) -> None:
    """Raises KeyTaken, LimitReached."""
    if not row["free"]:
        raise KeyTaken
    if not row["has_room"]:
        # `active` is of the snapshot, which is older than the lock.
        raise LimitReached(LimitedResource.CONVERSATIONS, active=max(row["active"], most), limit=most)


def _begun(conversation: Conversation, drafts: Sequence[Draft]) -> Conversation:
    """As it is with its drafts and their run, each of which is an event."""
    leaf = drafts[-1]
    return replace(
        conversation,
        updated_at=leaf.received_at,
        last_message_at=leaf.received_at,
        message_count=len(drafts),
        root_count=1,
        active_leaf_id=leaf.id,
        event_seq=len(drafts) + 1,
    )


def _columns(conversation: Conversation) -> tuple[object, ...]:
    """As _OPEN takes them, behind what is counted."""
    return (
        conversation.owner_id,
        conversation.title,
        conversation.title_source.value,
        conversation.state.value,
        conversation.version,
        conversation.created_at,
        conversation.pinned,
        conversation.tags,
        conversation.message_count,
        conversation.root_count,
        settings_json(conversation.settings),
        policy_json(conversation.context_policy),
        conversation.event_seq,
    )
