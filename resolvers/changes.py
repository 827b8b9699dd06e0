"""What changes a conversation: its own fields, its state, the branch that is shown, and that it is read."""

from dataclasses import dataclass
from typing import Annotated

import strawberry
from strawberry import UNSET

from domain.conversation.commands import UpdateConversation
from domain.conversation.entity import Conversation, RequestedState
from resolvers import node
from resolvers.context import Info
from resolvers.settings import (
    ContextPolicyInput,
    GenerationSettingsInput,
    given,
    policy_change,
    settings_change,
)

OneOfMine = Annotated[strawberry.ID, strawberry.argument(description="One of the viewer's.")]


@strawberry.input(
    description="Absent leaves, null clears. `settings` and `contextPolicy` merge field by field, by the same rule."
)
class UpdateConversationInput:
    conversation: strawberry.ID = strawberry.field(description="One of the viewer's, and not ARCHIVED.")
    expected_version: int | None = strawberry.field(
        default=None, description="`version` as it was read: StaleVersion if it has moved. Null: the last writer wins."
    )
    title: str | None = strawberry.field(
        default=UNSET, description="1 to 200 UTF-16 code units. Null: no title, until it is given one automatically."
    )
    tags: list[str] | None = strawberry.field(
        default=UNSET, description="All of them: at most 20, each at most 50 code units. Null: none."
    )
    pinned: bool | None = strawberry.field(default=UNSET, description="Null: not pinned.")
    settings: GenerationSettingsInput | None = strawberry.field(
        default=UNSET, description="Null: all back to their defaults."
    )
    context_policy: ContextPolicyInput | None = strawberry.field(
        default=UNSET, description="Null: all back to its defaults."
    )
    instruction: str | None = strawberry.field(
        default=UNSET, description="What all its replies are told: 1 to 8,000 UTF-16 code units. Null: nothing."
    )


@dataclass(frozen=True, slots=True)
class Changed:
    conversation: Conversation


class Updated(Changed):
    pass


class StateSet(Changed):
    pass


class Selected(Changed):
    pass


class Read(Changed):
    pass


async def update_conversation(info: Info, input: UpdateConversationInput) -> Updated:
    conversation = node.named_conversation(input.conversation, "input", "conversation")
    assert conversation is not None, "a conversation is named: the input requires it"
    tags = () if input.tags is None else given(input.tags)
    command = UpdateConversation(
        conversation,
        expected_version=input.expected_version,
        title=given(input.title),
        clears_title=input.title is None,
        tags=None if tags is None else tuple(tags),
        pinned=False if input.pinned is None else given(input.pinned),
        settings=settings_change(input.settings),
        context_policy=policy_change(input.context_policy),
        instruction=given(input.instruction),
        clears_instruction=input.instruction is None,
    )
    return Updated(await info.context.services.changes.update(info.context.viewer, command))


async def set_conversation_state(
    info: Info,
    conversation: OneOfMine,
    state: Annotated[RequestedState, strawberry.argument(description="The state to be in.")],
) -> StateSet:
    found = node.conversation_id(conversation)
    return StateSet(await info.context.services.changes.set_state(info.context.viewer, found, state))


async def select_branch(
    info: Info,
    message: Annotated[strawberry.ID, strawberry.argument(description="Any message: the leaf shown is its `leaf`.")],
) -> Selected:
    found = node.message_id(message)
    return Selected(await info.context.services.changes.select(info.context.viewer, found))


async def mark_conversation_read(info: Info, conversation: OneOfMine) -> Read:
    found = node.conversation_id(conversation)
    return Read(await info.context.services.changes.mark_read(info.context.viewer, found))
