"""Conversations: fields, lists, opening and deleting."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import strawberry

from domain.conversation.commands import CreateConversation, NewConversation
from domain.conversation.entity import (
    SHOWN_BY_DEFAULT,
    Conversation,
    ConversationFilter,
    ConversationOrder,
    ConversationState,
)
from domain.conversation.events import (
    BranchSelected,
    ConversationEvent,
    Event,
    MessageAdded,
    MessageChanged,
    ReplyFinished,
    ReplyStarted,
)
from domain.conversation.service import Created
from domain.errors import UnknownId
from domain.generation.entity import Generation, GenerationStatus, GenerationTrigger
from domain.generation.log import GenerationFilter
from domain.message import BranchDiff, Message, MessageFilter, MessageRole, MessageStatus
from domain.page import Page, page_args
from domain.user import User, Viewer
from domain.world import ConversationId
from resolvers import node
from resolvers.context import Info, there
from resolvers.paging import After, Before, First, Last
from resolvers.settings import ONCE_KEY, ContextPolicyInput, GenerationSettingsInput, new_policy, settings_of

INSTRUCTION = (
    "What its replies are told beside the messages: 1 to 8,000 UTF-16 code units. "
    "It adds to the operator's and the viewer's own instructions and never overrides them."
)

_SHOWN = sorted(SHOWN_BY_DEFAULT, key=lambda state: state.name)


@strawberry.input(
    name="ConversationFilter", description="All given conditions hold together. Null or absent: any, but for `states`."
)
class ConversationFilterInput:
    states: list[ConversationState] = strawberry.field(
        default_factory=lambda: list(_SHOWN), description="By default all but ARCHIVED; an empty list finds nothing."
    )
    pinned: bool | None = strawberry.field(default=None, description="Only pinned, or only unpinned ones.")
    tags: list[str] | None = strawberry.field(default=None, description="Those that carry all of these tags.")
    title_contains: str | None = strawberry.field(default=None, description="A part of the title, in any case.")
    unread: bool | None = strawberry.field(default=None, description="Only with, or only without something unread.")
    updated_after: datetime | None = strawberry.field(default=None, description="Changed after this moment.")


@strawberry.input(name="MessageFilter", description="All given conditions hold together. Null or absent: any.")
class MessageFilterInput:
    roles: list[MessageRole] | None = strawberry.field(default=None, description="Of one of these roles.")
    statuses: list[MessageStatus] | None = strawberry.field(default=None, description="In one of these states.")
    received_after: datetime | None = strawberry.field(default=None, description="Received after this moment.")
    received_before: datetime | None = strawberry.field(default=None, description="Received before this moment.")


@strawberry.input(description="A conversation that the first send opens.")
class NewConversationInput:
    title: str | None = strawberry.field(default=None, description="1 to 200 UTF-16 code units.")
    tags: list[str] | None = strawberry.field(default=None, description="At most 20, each at most 50 code units.")
    pinned: bool | None = strawberry.field(default=None, description="Keep it on top of lists. Default false.")
    settings: GenerationSettingsInput | None = strawberry.field(default=None, description="For all its replies.")
    context_policy: ContextPolicyInput | None = strawberry.field(
        default=None, description="What of it a model is given."
    )
    instruction: str | None = strawberry.field(default=None, description=INSTRUCTION)


@strawberry.input(description="A conversation without a message yet. Opening one by its first send saves a call.")
class CreateConversationInput(NewConversationInput):
    idempotency_key: str = strawberry.field(
        description=ONCE_KEY,
    )


@dataclass(frozen=True, slots=True)
class Deleted:
    id: ConversationId


def new_conversation(given: NewConversationInput | None) -> NewConversation | None:
    if given is None:
        return None
    return NewConversation(
        title=given.title,
        tags=tuple(given.tags or ()),
        pinned=bool(given.pinned),
        settings=settings_of(given.settings),
        context_policy=new_policy(given.context_policy),
        instruction=given.instruction,
    )


async def conversation(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="A conversation of the viewer's.")]
) -> Conversation | None:
    found = node.conversation_id(id)
    return await info.context.loaders.conversation.load(found) if found else None


async def conversations(
    root: strawberry.Parent[Viewer],
    info: Info,
    filter: Annotated[
        ConversationFilterInput | None, strawberry.argument(description="Null: all but the archived ones.")
    ] = None,
    order_by: Annotated[
        ConversationOrder, strawberry.argument(description="A row whose place moves may come twice: merge by id.")
    ] = ConversationOrder.ACTIVITY_DESC,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[Conversation]:
    having = _conversation_filter(filter) if filter else ConversationFilter()
    page = page_args(first, after, last, before)
    return await info.context.services.conversations.listed(root, having, order_by, page)


async def owner(root: strawberry.Parent[Conversation], info: Info) -> User:
    return info.context.viewer.user


async def active_leaf(root: strawberry.Parent[Conversation], info: Info) -> Message | None:
    return await info.context.loaders.message.load(root.active_leaf_id) if root.active_leaf_id else None


async def path(
    root: strawberry.Parent[Conversation],
    info: Info,
    leaf: Annotated[
        strawberry.ID | None,
        strawberry.argument(
            description="Any message of it; the path ends there. Null: the active leaf. Unknown: an empty connection."
        ),
    ] = None,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[Message]:
    page = page_args(first, after, last, before, last_by_default=True)
    end = node.message_id(leaf) if leaf is not None else root.active_leaf_id
    message = await info.context.loaders.message.load(end) if end else None
    if message is None or message.conversation_id != root.id:
        return Page((), has_next_page=False, has_previous_page=False)
    return await info.context.services.messages.path(info.context.viewer, message, page)


async def messages(
    root: strawberry.Parent[Conversation],
    info: Info,
    filter: Annotated[MessageFilterInput | None, strawberry.argument(description="Null: every message.")] = None,
    first: First = None,
    after: After = None,
) -> Page[Message]:
    having = _message_filter(filter) if filter else MessageFilter()
    page = page_args(first, after)
    return await info.context.services.messages.in_creation_order(info.context.viewer, root.id, page, having)


async def leaves(
    root: strawberry.Parent[Conversation], info: Info, first: First = None, after: After = None
) -> Page[Message]:
    return await info.context.services.messages.leaves(info.context.viewer, root.id, page_args(first, after))


async def diff(
    root: strawberry.Parent[Conversation],
    info: Info,
    a: Annotated[strawberry.ID, strawberry.argument(description="The end of one path: any message of it.")],
    b: Annotated[strawberry.ID, strawberry.argument(description="The end of the other one.")],
) -> BranchDiff | None:
    ids = [found for found in (node.message_id(a), node.message_id(b)) if found]
    ends = [end for end in await info.context.loaders.message.load_many(ids) if end and end.conversation_id == root.id]
    if len(ends) < 2:
        return None
    one, other = ends
    return await info.context.services.messages.diff(info.context.viewer, one, other)


async def common_ancestor(root: strawberry.Parent[BranchDiff], info: Info) -> Message | None:
    return await info.context.services.messages.common_ancestor(info.context.viewer, root)


async def only_a(
    root: strawberry.Parent[BranchDiff], info: Info, first: First = None, after: After = None
) -> Page[Message]:
    return await info.context.services.messages.only(info.context.viewer, root.a, root, page_args(first, after))


async def only_b(
    root: strawberry.Parent[BranchDiff], info: Info, first: First = None, after: After = None
) -> Page[Message]:
    return await info.context.services.messages.only(info.context.viewer, root.b, root, page_args(first, after))


async def generations(
    root: strawberry.Parent[Conversation],
    info: Info,
    statuses: Annotated[
        list[GenerationStatus] | None, strawberry.argument(description="In one of these states. Null: any.")
    ] = None,
    triggers: Annotated[
        list[GenerationTrigger] | None, strawberry.argument(description="Started by one of these. Null: any.")
    ] = None,
    first: First = None,
    after: After = None,
) -> Page[Generation]:
    having, page = GenerationFilter(frozenset(statuses or ()), frozenset(triggers or ())), page_args(first, after)
    return await info.context.services.generations.of_conversation(info.context.viewer, root.id, having, page)


async def active_generation(root: strawberry.Parent[Conversation], info: Info) -> Generation | None:
    if root.active_leaf_id is None:
        return None
    return await info.context.services.generations.writing(info.context.viewer, root.active_leaf_id)


async def forked_from(root: strawberry.Parent[Conversation], info: Info) -> Message | None:
    return await info.context.loaders.message.load(root.forked_from_id) if root.forked_from_id else None


async def conversation_events(
    info: Info,
    conversation: Annotated[strawberry.ID, strawberry.argument(description="A conversation of the viewer's.")],
    after: Annotated[
        int | None,
        strawberry.argument(
            description="`conversation.eventSeq`, or the last seq applied. Null, or past retention: begins with ConversationSnapshot."
        ),
    ] = None,
) -> AsyncGenerator[ConversationEvent, None]:
    found = node.conversation_id(conversation)
    if found is None:
        raise UnknownId("There is no such conversation: it never existed, was deleted, or is not yours.")
    events = info.context.services.conversation_followers.follow(info.context.viewer, found, after)
    async with aclosing(events):
        async for event in events:
            yield event


async def event_conversation(root: strawberry.Parent[Event], info: Info) -> Conversation:
    return there(await info.context.loaders.conversation.load(root.conversation_id))


async def event_message(
    root: strawberry.Parent[MessageAdded | MessageChanged | BranchSelected | ReplyStarted | ReplyFinished], info: Info
) -> Message:
    return there(await info.context.loaders.message.load(root.message_id))


async def event_generation(root: strawberry.Parent[ReplyStarted | ReplyFinished], info: Info) -> Generation:
    return there(await info.context.loaders.generation.load(root.generation_id))


async def create_conversation(info: Info, input: CreateConversationInput) -> Created:
    new = new_conversation(input) or NewConversation()
    command = CreateConversation(input.idempotency_key, new)
    return await info.context.services.conversations.create(info.context.viewer, command)


async def delete_conversation(
    info: Info,
    conversation: Annotated[strawberry.ID, strawberry.argument(description="One of the viewer's.")],
) -> Deleted:
    found = node.conversation_id(conversation)
    return Deleted(await info.context.services.conversations.delete(info.context.viewer, found))


def deleted_id(root: strawberry.Parent[Deleted]) -> str:
    return node.encode("Conversation", root.id)


def _conversation_filter(given: ConversationFilterInput) -> ConversationFilter:
    return ConversationFilter(
        states=frozenset(given.states),
        pinned=given.pinned,
        tags=frozenset(given.tags or ()),
        title_contains=given.title_contains,
        unread=given.unread,
        updated_after=given.updated_after,
    )


def _message_filter(given: MessageFilterInput) -> MessageFilter:
    return MessageFilter(
        roles=frozenset(given.roles or ()),
        statuses=frozenset(given.statuses or ()),
        received_after=given.received_after,
        received_before=given.received_before,
    )
