"""What conversations need of storage."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.conversation.entity import Conversation, ConversationFilter, ConversationOrder
from domain.generation.entity import Generation
from domain.message import Message, MessageRole, MessageStatus
from domain.model import ModelKey
from domain.page import Page, PageArgs
from domain.world import ConversationId, GenerationId, MessageId, NodeId, UserId


@dataclass(frozen=True, slots=True)
class Remembered:
    """A mutation that succeeded under a key: its fingerprint and the ids it answered with, by the names of the answer."""

    fingerprint: bytes
    ids: dict[str, UUID]


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


class Tree(Protocol):
    """One conversation under its row lock: nobody else writes to it until the transaction ends."""

    @property
    def conversation(self) -> Conversation: ...

    async def message(self, message_id: MessageId) -> Message | None:
        """None unless it is of this conversation."""

    async def unfinished_above(self, message: Message) -> Generation | None:
        """An unfinished run that writes `message` or one of its ancestors; the nearest."""

    async def add(self, drafts: Sequence[Draft], parent: Message | None) -> list[Message]:
        """The drafts as a chain below `parent` (None: a new root): the first its child, each next one the child of the one before."""

    async def waiting(self) -> int:
        """How many runs of the conversation are QUEUED."""

    async def reopen(self, reply: Message, generation_id: GenerationId) -> Message:
        """The reply is to be written on by another run; its text is kept."""

    async def begin(self, generation: Generation, node: NodeId, lease: timedelta) -> Generation:
        """Stores a generation. A RUNNING one is leased by `node` and has GenerationStarted as seq 1 of its log;
        the log of a QUEUED one is empty. The one returned has the right last_seq."""

    async def activate(self, leaf: Message, at: datetime) -> Conversation:
        """Makes `leaf` the active leaf and the last activity `at`; INACTIVE becomes ACTIVE."""


class Writing(Protocol):
    """One short transaction."""

    async def remember(self, owner: UserId, key: str, remembered: Remembered) -> bool:
        """False: the key is taken. Waits for a twin in flight, at most 5 s, then raises Unavailable."""

    async def open(self, conversation: Conversation) -> Tree: ...

    async def lock(self, owner: UserId, conversation_id: ConversationId) -> Tree | None: ...

    async def delete(self, owner: UserId, conversation_id: ConversationId, at: datetime) -> list[GenerationId] | None:
        """Marks it deleted; answers with its unfinished runs, which are asked to stop. None: not there, not theirs or deleted before."""


class ConversationStore(Protocol):
    def writing(self) -> AbstractAsyncContextManager[Writing]:
        """Commits at its end, rolls back when left by an exception."""

    async def recall(self, owner: UserId, key: str) -> Remembered | None: ...

    async def conversations(
        self, owner: UserId, ids: Sequence[ConversationId]
    ) -> dict[ConversationId, Conversation]: ...

    async def listed(
        self, owner: UserId, having: ConversationFilter, order: ConversationOrder, page: PageArgs
    ) -> Page[Conversation]:
        """A cursor holds what the row was sorted by, and its id."""

    async def forget_keys(self, before: datetime) -> int:
        """Purges what was remembered earlier."""

    async def purge_deleted(self, limit: int) -> int:
        """Removes at most `limit` messages of conversations marked deleted, then the empty conversations; 0 when none are left."""
