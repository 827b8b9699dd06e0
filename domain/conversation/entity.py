"""A conversation: a tree of messages with an owner, a state and its own settings."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum

from domain.errors import ConversationClosed, IllegalTransition
from domain.generation.entity import GenerationSettings
from domain.ledger import UsageTotals
from domain.window.policy import ContextPolicy
from domain.world import ConversationId, MessageId, UserId


class ConversationState(Enum):
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    PAUSED = "PAUSED"
    ARCHIVED = "ARCHIVED"


class RequestedState(Enum):
    """What may be asked for; only time makes a conversation INACTIVE."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ARCHIVED = "ARCHIVED"


# What a user's request may change. Beyond it, time makes ACTIVE ones INACTIVE and a send makes those ACTIVE.
MAY_BECOME = {
    ConversationState.ACTIVE: {ConversationState.PAUSED, ConversationState.ARCHIVED},
    ConversationState.INACTIVE: {ConversationState.ACTIVE, ConversationState.PAUSED, ConversationState.ARCHIVED},
    ConversationState.PAUSED: {ConversationState.ACTIVE, ConversationState.ARCHIVED},
    ConversationState.ARCHIVED: {ConversationState.ACTIVE},
}
TAKES_MESSAGES = frozenset({ConversationState.ACTIVE, ConversationState.INACTIVE})


class TitleSource(Enum):
    NONE = "NONE"
    AUTO = "AUTO"
    USER = "USER"


class ConversationOrder(Enum):
    ACTIVITY_DESC = "ACTIVITY_DESC"
    ACTIVITY_ASC = "ACTIVITY_ASC"
    UPDATED_DESC = "UPDATED_DESC"
    CREATED_DESC = "CREATED_DESC"
    CREATED_ASC = "CREATED_ASC"
    TITLE_ASC = "TITLE_ASC"


SHOWN_BY_DEFAULT = frozenset({ConversationState.ACTIVE, ConversationState.INACTIVE, ConversationState.PAUSED})


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """None: any. A conversation must carry all of `tags`."""

    states: frozenset[ConversationState] = SHOWN_BY_DEFAULT
    pinned: bool | None = None
    tags: frozenset[str] = field(default_factory=frozenset)
    title_contains: str | None = None
    unread: bool | None = None
    updated_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """`version` counts edits of its own fields; messages, branches and state do not move it. `event_seq`: of its events.

    `has_unread`: a reply ended after its owner last read or sent. `forked_from_id`: may be a message that is no more.
    """

    id: ConversationId
    owner_id: UserId
    title: str | None
    title_source: TitleSource
    state: ConversationState
    version: int
    created_at: datetime
    updated_at: datetime
    last_message_at: datetime | None = None
    pinned: bool = False
    tags: tuple[str, ...] = ()
    message_count: int = 0
    root_count: int = 0
    settings: GenerationSettings = GenerationSettings()
    context_policy: ContextPolicy = ContextPolicy()
    active_leaf_id: MessageId | None = None
    has_unread: bool = False
    forked_from_id: MessageId | None = None
    event_seq: int = 0
    usage: UsageTotals = UsageTotals()

    @property
    def is_open(self) -> bool:
        """Whether it takes messages."""
        return self.state in TAKES_MESSAGES

    def require_open(self) -> None:
        """Raises ConversationClosed."""
        if not self.is_open:
            raise ConversationClosed(self.state)

    def require_writable(self) -> None:
        """A paused one takes no messages, and everything else. Raises ConversationClosed."""
        if self.state is ConversationState.ARCHIVED:
            raise ConversationClosed(self.state)

    def become(self, requested: RequestedState) -> "Conversation":
        """Raises IllegalTransition."""
        state = ConversationState(requested.value)
        if state is self.state:
            return self
        if state not in MAY_BECOME[self.state]:
            raise IllegalTransition(self.state, state)
        return replace(self, state=state)
