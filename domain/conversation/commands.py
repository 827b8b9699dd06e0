"""What front ends ask for, parsed; each with the fingerprint by which a repeated key is told from a reused one."""

import hashlib
import json
from dataclasses import Field, dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum

from domain.generation.entity import GenerationSettings
from domain.world import ConversationId, MessageId

NOT_COMPARED = frozenset({"sent_at", "idempotency_key"})


class BusyPolicy(Enum):
    REJECT = "REJECT"
    ENQUEUE = "ENQUEUE"
    INTERRUPT = "INTERRUPT"
    BRANCH = "BRANCH"


@dataclass(frozen=True, slots=True)
class NewConversation:
    title: str | None = None
    tags: tuple[str, ...] = ()
    pinned: bool = False
    settings: GenerationSettings = GenerationSettings()


@dataclass(frozen=True, slots=True)
class CreateConversation:
    idempotency_key: str
    new: NewConversation


@dataclass(frozen=True, slots=True)
class SendMessage:
    """`conversation` None starts one; `parent` None answers the active leaf; `expected_leaf` then guards a stale client.

    `on_busy` None: REJECT.
    """

    text: str
    idempotency_key: str
    conversation: ConversationId | None = None
    new_conversation: NewConversation | None = None
    parent: MessageId | None = None
    expected_leaf: MessageId | None = None
    settings: GenerationSettings = GenerationSettings()
    on_busy: BusyPolicy | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ContinueReply:
    """`reply` goes on where it was cut, stopped or lost."""

    reply: MessageId
    idempotency_key: str
    max_output_tokens: int | None = None


Command = CreateConversation | SendMessage | ContinueReply


def fingerprint(command: Command) -> bytes:
    """Fields that are absent do not count, so that a field added by an upgrade does not turn every retry away."""
    said = {name: value for name, value in _present(command).items() if name not in NOT_COMPARED}
    return hashlib.sha256(json.dumps([type(command).__name__, said], sort_keys=True, default=str).encode()).digest()


def _present(record: object) -> dict[str, object]:
    assert is_dataclass(record)
    values = {field.name: getattr(record, field.name) for field in fields(record) if not _is_default(record, field)}
    return {name: _present(value) if is_dataclass(value) else value for name, value in values.items()}


def _is_default(record: object, field: "Field[object]") -> bool:
    """Of the same type too: 0.0 equals False, and is something that was said."""
    value = getattr(record, field.name)
    return type(value) is type(field.default) and value == field.default
