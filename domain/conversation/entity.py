"""A conversation: a tree of messages with an owner, a state and its own settings."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from domain.generation.entity import GenerationSettings
from domain.world import ConversationId, MessageId, UserId


class ConversationState(Enum):
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    PAUSED = "PAUSED"
    ARCHIVED = "ARCHIVED"


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
    updated_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """`version` counts edits of its own fields; messages and branches do not move it. `event_seq`: of its events."""

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
    active_leaf_id: MessageId | None = None
    event_seq: int = 0
