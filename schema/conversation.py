"""Conversations."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from domain import message
from domain.conversation import entity as domain
from domain.conversation.service import Created
from domain.generation.entity import GenerationSettings as Settings
from domain.response_format import ResponseFormat as Format
from domain.response_format import ResponseFormatType
from domain.window.policy import ContextPolicy as Policy
from domain.window.policy import ContextStrategy
from resolvers import changes, fork
from resolvers import conversation as resolve
from resolvers import generation as resolve_generation
from resolvers import instruction as resolve_instruction
from schema.lazy import GenerationRef, MessageRef, UsageTotalsRef
from schema.model import Model
from schema.node import Connection, Node
from schema.of import of
from schema.user import User


@of(Format, name="ResponseFormat", description="What form an answer must have.")
class ResponseFormat:
    type: ResponseFormatType = strawberry.field(
        description="Text, a JSON object, or JSON that is valid against `schema`."
    )
    schema = strawberry.field(
        resolver=resolve_generation.schema_of_format, graphql_type=JSON | None, description="Of JSON_SCHEMA only."
    )


@of(
    Settings,
    name="GenerationSettings",
    description="How a model is asked. In a conversation, null: the model's or the server's default.",
)
class GenerationSettings:
    model = strawberry.field(
        resolver=resolve_generation.model_of_settings, graphql_type=Model | None, description="The model."
    )
    temperature: float | None = strawberry.field(description="0 to 2; higher is more surprising.")
    top_p: float | None = strawberry.field(description="0 to 1; lower is more predictable.")
    max_output_tokens: int | None = strawberry.field(description="The longest answer.")
    seed: int | None = strawberry.field(description="The same seed makes the same answer likelier.")
    stop: list[str] | None = strawberry.field(description="Texts at which the answer ends; at most 4.")
    response_format: ResponseFormat | None = strawberry.field(description="What the answer is held to; null: text.")


@of(Policy, name="ContextPolicy", description="What of a conversation a model is given, where not all of it would fit.")
class ContextPolicy:
    strategy: ContextStrategy = strawberry.field(description="What happens to what does not fit.")
    max_input_tokens: int | None = strawberry.field(description="The longest prompt; null: what the window holds.")
    reserve_output_tokens: int = strawberry.field(
        description="Kept free for the answer, unless `settings.maxOutputTokens` says how long that may be."
    )


@of(message.BranchDiff, name="BranchDiff", description="Two paths from a root down to a message, compared.")
class BranchDiff:
    common_ancestor = strawberry.field(
        resolver=resolve.common_ancestor,
        graphql_type=MessageRef | None,
        description="The last message that both have; null where they begin with different roots.",
    )
    only_a = strawberry.field(
        resolver=resolve.only_a, graphql_type=Connection[MessageRef], description="What only the path to `a` has."
    )
    only_b = strawberry.field(
        resolver=resolve.only_b, graphql_type=Connection[MessageRef], description="What only the path to `b` has."
    )


@of(domain.Conversation, name="Conversation", description="A tree of messages.")
class Conversation(Node):
    owner = strawberry.field(resolver=resolve.owner, graphql_type=User, description="Whose it is.")
    title: str | None = strawberry.field(description="For lists; null while it has none.")
    title_source: domain.TitleSource = strawberry.field(description="Who gave the title.")
    state: domain.ConversationState = strawberry.field(description="Whether it takes messages.")
    version: int = strawberry.field(
        description="Counts edits of title, tags, pinned, settings, policy and instruction, for `expectedVersion`; "
        "messages, branches and state do not move it."
    )
    created_at: datetime = strawberry.field(description="When it was opened.")
    updated_at: datetime = strawberry.field(description="Any change, but for being read and becoming INACTIVE.")
    last_message_at: datetime | None = strawberry.field(description="The last send or end of a reply; lists go by it.")
    pinned: bool = strawberry.field(description="Kept on top of lists by clients.")
    tags: list[str] = strawberry.field(description="At most 20.")
    has_unread: bool = strawberry.field(
        description="A reply ended after the viewer last called markConversationRead or sent."
    )
    message_count: int = strawberry.field(description="All messages of the tree.")
    root_count: int = strawberry.field(
        description="Messages without a parent: their pager count, as `childCount` is for the others."
    )
    settings: GenerationSettings = strawberry.field(description="For all its replies, unless a send says otherwise.")
    context_policy: ContextPolicy = strawberry.field(description="What of it a model is given.")
    instruction = strawberry.field(
        resolver=resolve_instruction.of_conversation,
        graphql_type=str | None,
        description="What all its replies are told beside the messages.",
    )
    active_leaf = strawberry.field(
        resolver=resolve.active_leaf,
        graphql_type=MessageRef | None,
        description="The branch that a client shows after a reload; the same on every device. Null only while empty.",
    )
    generations = strawberry.field(
        resolver=resolve.generations,
        graphql_type=Connection[GenerationRef],
        description="Its runs, latest first.",
    )
    active_generation = strawberry.field(
        resolver=resolve.active_generation,
        graphql_type=GenerationRef | None,
        description="The run that writes the path down to the active leaf, queued or running: the nearest of them.",
    )
    forked_from = strawberry.field(
        resolver=resolve.forked_from,
        graphql_type=MessageRef | None,
        description="The message that it is a fork of; null also when that was deleted.",
    )
    usage: UsageTotalsRef = strawberry.field(description="What its replies, its title and its summaries have taken.")
    event_seq: int = strawberry.field(
        description="Read it with the conversation and pass it to `conversationEvents(after:)`: nothing is missed in between."
    )
    path = strawberry.field(
        resolver=resolve.path,
        graphql_type=Connection[MessageRef],
        description="Root to leaf. With neither `first` nor `last`: the last 20; `last` and `before` page upwards. "
        "A cursor works on every path that holds its message; on another it counts from the deepest common ancestor.",
    )
    messages = strawberry.field(
        resolver=resolve.messages,
        graphql_type=Connection[MessageRef],
        description="Every node of the tree in creation order, so parents before children: for graph views and export.",
    )
    leaves = strawberry.field(
        resolver=resolve.leaves,
        graphql_type=Connection[MessageRef],
        description="The ends of all branches, latest first.",
    )
    diff = strawberry.field(
        resolver=resolve.diff,
        graphql_type=BranchDiff | None,
        description="Where two paths part. Null when either id is not a message here.",
    )


@of(Created, name="CreateConversationSuccess", description="The conversation is open.")
class CreateConversationSuccess:
    conversation: Conversation = strawberry.field(description="As it is now.")
    replayed: bool = strawberry.field(description="This key had been answered before.")


@of(fork.Forked, name="ForkConversationSuccess", description="The copy is a conversation of its own.")
class ForkConversationSuccess:
    conversation: Conversation = strawberry.field(description="The copy; its `activeLeaf` is that of what was copied.")
    replayed: bool = strawberry.field(description="This key had been answered before.")


@of(changes.Updated, name="UpdateConversationSuccess", description="The change is stored, or was there before.")
class UpdateConversationSuccess:
    conversation: Conversation = strawberry.field(description="As it is now; its `version` is for the next change.")


@of(changes.StateSet, name="SetConversationStateSuccess", description="The conversation is in the state asked for.")
class SetConversationStateSuccess:
    conversation: Conversation = strawberry.field(description="As it is now.")


@of(changes.Selected, name="SelectBranchSuccess", description="The branch is shown, on every device.")
class SelectBranchSuccess:
    conversation: Conversation = strawberry.field(description="As it is now; `activeLeaf` is the branch's end.")


@of(changes.Read, name="MarkConversationReadSuccess", description="Nothing in it is unread.")
class MarkConversationReadSuccess:
    conversation: Conversation = strawberry.field(description="As it is now.")


@of(resolve.Deleted, name="DeleteConversationSuccess", description="The conversation is gone.")
class DeleteConversationSuccess:
    deleted_conversation = strawberry.field(
        resolver=resolve.deleted_id, graphql_type=strawberry.ID, description="For removal from caches."
    )
