"""What front ends ask for, parsed; each with the fingerprint by which a repeated key is told from a reused one."""

import hashlib
import json
from dataclasses import Field, dataclass, fields, is_dataclass, replace
from datetime import datetime
from enum import Enum

from domain.conversation.entity import Conversation, TitleSource
from domain.generation.entity import GenerationSettings
from domain.window.policy import ContextPolicy, ContextStrategy
from domain.world import ConversationId, MessageId

NOT_COMPARED = frozenset({"sent_at", "idempotency_key"})


class BusyPolicy(Enum):
    REJECT = "REJECT"
    ENQUEUE = "ENQUEUE"
    INTERRUPT = "INTERRUPT"
    BRANCH = "BRANCH"


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """None in `given` leaves a field as it is; those that are `cleared` go back to None."""

    given: GenerationSettings = GenerationSettings()
    cleared: frozenset[str] = frozenset()

    def applied_to(self, settings: GenerationSettings) -> GenerationSettings:
        return self.given.over(replace(settings, **dict.fromkeys(self.cleared)))


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """None leaves a field as it is; those that are `cleared` go back to their defaults."""

    strategy: ContextStrategy | None = None
    max_input_tokens: int | None = None
    reserve_output_tokens: int | None = None
    cleared: frozenset[str] = frozenset()

    def applied_to(self, policy: ContextPolicy) -> ContextPolicy:
        default = ContextPolicy()
        names = ("strategy", "max_input_tokens", "reserve_output_tokens")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        return replace(policy, **{name: getattr(default, name) for name in self.cleared} | given)


@dataclass(frozen=True, slots=True)
class NewConversation:
    title: str | None = None
    tags: tuple[str, ...] = ()
    pinned: bool = False
    settings: GenerationSettings = GenerationSettings()
    context_policy: PolicyChange = PolicyChange()
    instruction: str | None = None


@dataclass(frozen=True, slots=True)
class CreateConversation:
    idempotency_key: str
    new: NewConversation


@dataclass(frozen=True, slots=True)
class UpdateConversation:
    """None leaves what is there. Without `expected_version` the last writer wins."""

    conversation: ConversationId
    expected_version: int | None = None
    title: str | None = None
    clears_title: bool = False
    tags: tuple[str, ...] | None = None
    pinned: bool | None = None
    settings: SettingsChange = SettingsChange()
    context_policy: PolicyChange = PolicyChange()
    instruction: str | None = None
    clears_instruction: bool = False

    def applied_to(self, conversation: Conversation) -> Conversation:
        title, title_source = self._title(conversation)
        return replace(
            conversation,
            title=title,
            title_source=title_source,
            tags=conversation.tags if self.tags is None else tuple(dict.fromkeys(self.tags)),
            pinned=conversation.pinned if self.pinned is None else self.pinned,
            settings=self.settings.applied_to(conversation.settings),
            context_policy=self.context_policy.applied_to(conversation.context_policy),
        )

    def _title(self, conversation: Conversation) -> tuple[str | None, TitleSource]:
        if self.title is not None:
            return self.title, TitleSource.USER
        if self.clears_title:
            return None, TitleSource.NONE
        return conversation.title, conversation.title_source


@dataclass(frozen=True, slots=True)
class SendMessage:
    """`conversation` None starts one; `parent` None answers the active leaf; `expected_leaf` then guards a stale client."""

    text: str
    idempotency_key: str
    conversation: ConversationId | None = None
    new_conversation: NewConversation | None = None
    parent: MessageId | None = None
    expected_leaf: MessageId | None = None
    settings: GenerationSettings = GenerationSettings()
    instruction: str | None = None
    on_busy: BusyPolicy = BusyPolicy.REJECT
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EditMessage:
    """`text` in place of what the user said, as a sibling of it."""

    message: MessageId
    text: str
    idempotency_key: str
    settings: GenerationSettings = GenerationSettings()
    instruction: str | None = None
    on_busy: BusyPolicy = BusyPolicy.REJECT
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RegenerateReply:
    """Another answer to what `reply` answers. `settings` and `instruction`, where None: as it had them."""

    reply: MessageId
    idempotency_key: str
    settings: GenerationSettings = GenerationSettings()
    instruction: str | None = None
    on_busy: BusyPolicy = BusyPolicy.REJECT


@dataclass(frozen=True, slots=True)
class ContinueReply:
    """`reply` goes on where it was cut, stopped or lost."""

    reply: MessageId
    idempotency_key: str
    max_output_tokens: int | None = None


class ForkScope(Enum):
    """What is copied: the path down to a message; its messages' siblings too; or the message and all below it."""

    PATH = "PATH"
    PATH_AND_SIBLINGS = "PATH_AND_SIBLINGS"
    SUBTREE = "SUBTREE"


@dataclass(frozen=True, slots=True)
class ForkConversation:
    """`title` None: the origin's."""

    message: MessageId
    idempotency_key: str
    scope: ForkScope = ForkScope.PATH
    title: str | None = None


Command = CreateConversation | SendMessage | EditMessage | RegenerateReply | ContinueReply | ForkConversation


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
