"""Messages: the nodes of a conversation's tree, and every way to walk it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol

from domain.model import ModelKey
from domain.page import Page, PageArgs
from domain.user import Viewer
from domain.world import BranchId, ConversationId, GenerationId, MessageId, UserId


class MessageRole(Enum):
    USER = "USER"
    ASSISTANT = "ASSISTANT"
    SYSTEM = "SYSTEM"


class MessageStatus(Enum):
    PENDING = "PENDING"
    STREAMING = "STREAMING"
    COMPLETE = "COMPLETE"
    STOPPED = "STOPPED"
    INTERRUPTED = "INTERRUPTED"
    FAILED = "FAILED"
    BLOCKED = "BLOCKED"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands; given once and never changed.

    `number` counts the conversation's messages from 1, `sibling_index` those of one parent from 1, `depth` is 0 at a root.
    A branch is a run of messages between forks, so (branch, depth) is unique.
    """

    branch_id: BranchId
    parent_id: MessageId | None
    depth: int
    number: int
    sibling_index: int


@dataclass(frozen=True, slots=True)
class Message:
    """`text_through_seq`: the last seq of the latest run's log that `text` and `status` include.

    `tokens`: of its text, as model servers have counted them, by whichever tokenizer takes the most; None: none has yet.
    """

    id: MessageId
    conversation_id: ConversationId
    owner_id: UserId
    place: Place
    role: MessageRole
    status: MessageStatus
    text: str
    received_at: datetime
    reasoning: str | None = None
    sent_at: datetime | None = None
    first_token_at: datetime | None = None
    completed_at: datetime | None = None
    idempotency_key: str | None = None
    child_count: int = 0
    generation_id: GenerationId | None = None
    model_key: ModelKey | None = None
    text_through_seq: int = 0
    tokens: int | None = None

    @property
    def parent_id(self) -> MessageId | None:
        return self.place.parent_id

    @property
    def depth(self) -> int:
        return self.place.depth

    @property
    def sibling_index(self) -> int:
        return self.place.sibling_index

    @property
    def family(self) -> "Family":
        return Family(self.conversation_id, self.place.parent_id)


@dataclass(frozen=True, slots=True)
class Family:
    """The children of one message, or (parent None) the roots of one conversation."""

    conversation_id: ConversationId
    parent_id: MessageId | None


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Empty or None: any."""

    roles: frozenset[MessageRole] = field(default_factory=frozenset)
    statuses: frozenset[MessageStatus] = field(default_factory=frozenset)
    received_after: datetime | None = None
    received_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class BranchDiff:
    """Two paths that part below `shared_depth`; -1: they share nothing."""

    a: Message
    b: Message
    shared_depth: int


class MessageStore(Protocol):
    """Reads. Every one takes the owner: what is not theirs, or was deleted, is not there. Cursors are message ids.

    The text and status of a reply that is being written are read from its log, in the same snapshot as `text_through_seq`.
    """

    async def messages(self, owner: UserId, ids: Sequence[MessageId]) -> dict[MessageId, Message]: ...

    async def path(
        self, owner: UserId, leaf: Message, page: PageArgs, *, highest: int = 0, lowest: int | None = None
    ) -> Page[Message]:
        """Root to leaf, by depth from `highest` on, down to `lowest` (None: the leaf's).

        A cursor that is not on this path counts from the deepest common ancestor.
        """

    async def shared_depth(self, owner: UserId, one: Message, other: Message) -> int:
        """Of the deepest message that both paths of one conversation go through; -1 without any."""

    async def families(self, owner: UserId, families: Sequence[Family], page: PageArgs) -> dict[Family, Page[Message]]:
        """Siblings in creation order; one statement for any number of families."""

    async def family_sizes(self, owner: UserId, families: Sequence[Family]) -> dict[Family, int]: ...

    async def siblings_at(
        self, owner: UserId, places: Sequence[tuple[Family, int]]
    ) -> dict[tuple[Family, int], Message]:
        """By (family, sibling_index); one statement."""

    async def in_creation_order(
        self, owner: UserId, conversation_id: ConversationId, page: PageArgs, having: MessageFilter
    ) -> Page[Message]: ...

    async def leaves(self, owner: UserId, conversation_id: ConversationId, page: PageArgs) -> Page[Message]:
        """Latest first."""

    async def leaves_below(self, owner: UserId, ids: Sequence[MessageId]) -> dict[MessageId, Message]:
        """For each message the leaf last active at or below it, else the latest one."""

    async def ancestors(self, owner: UserId, newest: MessageId, *, skip: int, limit: int) -> list[Message]:
        """`newest` and what stands above it, deepest first, after the first `skip`."""


class Messages:
    """Queries ask, null answers: what is not the viewer's is not there."""

    def __init__(self, store: MessageStore) -> None:
        self._store = store

    async def by_id(self, viewer: Viewer, ids: Sequence[MessageId]) -> dict[MessageId, Message]:
        return await self._store.messages(viewer.id, ids)

    async def path(
        self, viewer: Viewer, leaf: Message, page: PageArgs, *, highest: int = 0, lowest: int | None = None
    ) -> Page[Message]:
        return await self._store.path(viewer.id, leaf, page, highest=highest, lowest=lowest)

    async def diff(self, viewer: Viewer, a: Message, b: Message) -> BranchDiff:
        """Of two messages of one conversation."""
        return BranchDiff(a, b, await self._store.shared_depth(viewer.id, a, b))

    async def common_ancestor(self, viewer: Viewer, diff: BranchDiff) -> Message | None:
        if diff.shared_depth < 0:
            return None
        found = await self._store.ancestors(viewer.id, diff.a.id, skip=diff.a.depth - diff.shared_depth, limit=1)
        return next(iter(found), None)

    async def only(self, viewer: Viewer, leaf: Message, diff: BranchDiff, page: PageArgs) -> Page[Message]:
        """What of the path down to `leaf` the other one does not have."""
        return await self._store.path(viewer.id, leaf, page, highest=diff.shared_depth + 1)

    async def families(self, viewer: Viewer, families: Sequence[Family], page: PageArgs) -> dict[Family, Page[Message]]:
        return await self._store.families(viewer.id, families, page)

    async def family_sizes(self, viewer: Viewer, families: Sequence[Family]) -> dict[Family, int]:
        return await self._store.family_sizes(viewer.id, families)

    async def siblings_at(
        self, viewer: Viewer, places: Sequence[tuple[Family, int]]
    ) -> dict[tuple[Family, int], Message]:
        return await self._store.siblings_at(viewer.id, places)

    async def in_creation_order(
        self, viewer: Viewer, conversation_id: ConversationId, page: PageArgs, having: MessageFilter
    ) -> Page[Message]:
        return await self._store.in_creation_order(viewer.id, conversation_id, page, having)

    async def leaves(self, viewer: Viewer, conversation_id: ConversationId, page: PageArgs) -> Page[Message]:
        return await self._store.leaves(viewer.id, conversation_id, page)

    async def leaves_below(self, viewer: Viewer, ids: Sequence[MessageId]) -> dict[MessageId, Message]:
        return await self._store.leaves_below(viewer.id, ids)
