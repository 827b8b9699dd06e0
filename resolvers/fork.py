"""Forks of conversations."""

from dataclasses import dataclass

import strawberry

from domain.conversation.commands import ForkConversation, ForkScope
from domain.conversation.entity import Conversation
from resolvers import node
from resolvers.context import Info
from resolvers.settings import ONCE_KEY


@strawberry.input(description="What is copied into a conversation of its own.")
class ForkConversationInput:
    message: strawberry.ID = strawberry.field(
        description="Where the copy ends, or with SUBTREE begins. Any message, of an archived conversation too."
    )
    idempotency_key: str = strawberry.field(description=ONCE_KEY)
    scope: ForkScope = strawberry.field(default=ForkScope.PATH, description="How much is copied.")
    title: str | None = strawberry.field(default=None, description="1 to 200 UTF-16 code units. Null: the origin's.")


@dataclass(frozen=True, slots=True)
class Forked:
    conversation: Conversation
    replayed: bool


async def fork_conversation(info: Info, input: ForkConversationInput) -> Forked:
    message = node.named_message(input.message, "input", "message")
    assert message is not None, "a message is named: the input requires it"
    command = ForkConversation(message, input.idempotency_key, input.scope, input.title)
    made = await info.context.services.forks.fork(info.context.viewer, command)
    return Forked(made.conversation, made.replayed)
