"""What conversations need of storage."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.conversation.commands import ForkScope
from domain.conversation.entity import Conversation, ConversationFilter, ConversationOrder
from domain.generation.entity import Generation
from domain.message import Message, MessageRole, MessageStatus
from domain.model import ModelKey, TokenCount
from domain.page import Page, PageArgs
from domain.quota.admission import Admitted
from domain.quota.claim import Claim
from domain.quota.counter import Counted, Payer, Quota
from domain.world import ConversationId, GenerationId, MessageId, NodeId, UserId

# Of one user, unless the operator says otherwise; those that are deleted do not count.
MOST_CONVERSATIONS = 10_000


class KeyTaken(Exception):
    """The key was used meanwhile: recall what it did."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A mutation that succeeded under a key: its fingerprint and the ids it answered with, by the names of the answer."""

    fingerprint: bytes
    ids: dict[str, UUID]


@dataclass(frozen=True, slots=True)
class Memo:
    """What is remembered under a key of `owner`'s if the transaction commits."""

    owner: UserId
    key: str
    done: Remembered


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before it has a place."""

    id: MessageId
    role: MessageRole
    status: MessageStatus
    text: str
    received_at: datetime
    sent_at: datetime | None = None
    idempotency_key: str | None = None
    generation_id: GenerationId | None = None
    model_key: ModelKey | None = None
    tokens: TokenCount | None = None


@dataclass(frozen=True, slots=True)
class NewRun:
    """A RUNNING one is leased by `node`, and GenerationStarted is seq 1 of its log; the log of a QUEUED one is empty.

    `admitted`: what was reserved for it in this transaction.
    `sums_up`: the path down to that message is summed up, in the background.
    """

    generation: Generation
    node: NodeId
    lease: timedelta
    sums_up: MessageId | None = None
    admitted: Admitted | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a new message would answer. `unfinished`: the nearest unfinished run that writes it or one of its ancestors.

    `waiting`: how many runs of the conversation are QUEUED.
    """

    message: Message | None
    unfinished: Generation | None
    waiting: int


@dataclass(frozen=True, slots=True)
class Grown:
    conversation: Conversation
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """What a fork copies: `size` messages, `unfinished` those that are being written. `stored`: in its owner's other forks."""

    message: Message
    scope: ForkScope
    size: int
    stored: int
    unfinished: tuple[MessageId, ...]


class Tree(Protocol):
    """One conversation under its row lock: nobody else writes to it until the transaction ends.

    What is grown or reopened becomes the active leaf and the last activity; INACTIVE becomes ACTIVE, and all is read.
    """

    @property
    def conversation(self) -> Conversation: ...

    async def look(self, message_id: MessageId | None) -> Standing:
        """`message` None: it is not of this conversation. Above a new root (None) nothing runs."""

    async def grow(self, drafts: Sequence[Draft], parent: Message | None, run: NewRun | None = None) -> Grown:
        """The drafts as a chain below `parent` (None: a new root), each the child of the one before; `run` writes the last."""

    async def reopen(self, reply: Message, run: NewRun) -> Grown:
        """The reply is written on by another run; its text is kept."""

    async def change(self, changed: Conversation) -> Conversation:
        """Stores its own fields, its state and its read mark, and tells of it."""

    async def leaf_below(self, message_id: MessageId) -> Message:
        """The leaf last active at or below the message, else the latest one."""

    async def show(self, leaf: Message, at: datetime) -> Conversation:
        """Makes `leaf` the active leaf, which is no activity, and tells of it."""

    async def take_up(self, generation_id: GenerationId) -> bool:
        """Once for each run that was handed over. False: somebody was first."""

    async def instruct(self, text: str | None) -> bool:
        """From now on the conversation's instruction is `text`; None: it has none. False: that is so already."""


class Opening(Protocol):
    """A conversation that begins with a question and its run: what counts their claim writes all of them. To be used once."""

    @property
    def grown(self) -> Grown:
        """As it stands once the claim is counted."""

    async def reserve(self, payer: Payer, claim: Claim) -> Counted:
        """As Counting says it. Raises KeyTaken, LimitReached."""

    async def tell(self, crossed: Sequence[Quota]) -> None: ...

    async def note(self, run: Generation) -> None:
        """The notices that the run was given since."""


class Writing(Protocol):
    """One short transaction. Its locks are taken in this order: quotas, the owner, the conversation, what is inserted.

    The first of `reserve`, `lock`, `open` and an opening's `reserve` remembers the memo, if there is one, in the same
    statement; it raises KeyTaken.
    """

    async def reserve(self, payer: Payer, claim: Claim) -> Counted:
        """As Counting says it. Before `lock` and `open`."""

    async def tell(self, crossed: Sequence[Quota]) -> None: ...

    def opening(
        self, conversation: Conversation, instruction: str | None, drafts: Sequence[Draft], run: NewRun
    ) -> Opening:
        """Instead of `reserve` and `open`. The drafts as a chain from a root on; `run` writes the last."""

    async def open(self, conversation: Conversation, instruction: str | None = None) -> Tree:
        """Raises LimitReached: its owner has as many as he may have. Exact under any race."""

    async def lock(self, owner: UserId, conversation_id: ConversationId) -> Tree | None:
        """None: not there, not theirs or deleted."""

    async def part(self, message: Message, scope: ForkScope) -> Part | None:
        """Forks of one owner wait for each other from here on, and nobody else does. None: it was deleted."""

    async def copy(self, part: Part, fork: Conversation) -> Conversation:
        """Opens `fork` with its origin's instruction and copies of the part, without their runs; what is being written is
        copied as it stands, INTERRUPTED. Raises KeyTaken, LimitReached."""

    async def delete(self, owner: UserId, conversation_id: ConversationId, at: datetime) -> list[GenerationId] | None:
        """Marks it deleted; answers with its unfinished runs, which are asked to stop. None: not there, not theirs or deleted before."""


class ConversationStore(Protocol):
    def writing(self, memo: Memo | None = None) -> AbstractAsyncContextManager[Writing]:
        """Commits at its end, rolls back when left by an exception.

        Waits for a twin in flight (the same key of the same owner), at most 5 s, then raises Unavailable.
        """

    async def require_room(self, owner: UserId) -> None:
        """For one more conversation, as it is now. Raises LimitReached."""

    async def look(self, conversation: Conversation, message_id: MessageId | None) -> Standing:
        """As `Tree.look`, without the lock: it may be otherwise a moment later."""

    async def recall(self, owner: UserId, key: str) -> Remembered | None: ...

    async def conversations(
        self, owner: UserId, ids: Sequence[ConversationId]
    ) -> dict[ConversationId, Conversation]: ...

    async def listed(
        self, owner: UserId, having: ConversationFilter, order: ConversationOrder, page: PageArgs
    ) -> Page[Conversation]:
        """A cursor holds what the row was sorted by, and its id."""

    async def rest_idle(self, idle_for: timedelta, limit: int) -> int:
        """Makes at most `limit` ACTIVE ones without activity for so long INACTIVE, and tells of it; how many."""

    async def entitle(self, owner: UserId, conversation_id: ConversationId, title: str) -> bool:
        """An AUTO title, and tells of it. False: it has a title, or is not there any more."""

    async def forget_keys(self, before: datetime) -> int:
        """Purges what was remembered earlier."""

    async def purge_deleted(self, limit: int) -> int:
        """Removes at most `limit` messages of conversations marked deleted, then the empty conversations; 0 when none are left."""
