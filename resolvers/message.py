"""Messages: every edge of the tree, and the send."""

from datetime import datetime
from typing import Annotated

import strawberry

from domain.conversation.actions import MessageAction, actions
from domain.conversation.commands import BusyPolicy, ContinueReply, EditMessage, RegenerateReply, SendMessage
from domain.conversation.entity import Conversation
from domain.conversation.once import Sent
from domain.conversation.preview import Preview
from domain.errors import BadPage
from domain.generation.entity import Generation
from domain.message import Family, Message
from domain.model import Model
from domain.page import Page, page_args
from domain.text import excerpt
from resolvers import node
from resolvers.context import Info, there
from resolvers.conversation import NewConversationInput, new_conversation
from resolvers.paging import After, First
from resolvers.settings import ONCE_KEY, GenerationSettingsInput, settings_of

LONGEST_EXCERPT = 500
NO_KEY = "preview"


@strawberry.input(description="What the viewer says, and where.")
class SendMessageInput:
    text: str = strawberry.field(description="At least one visible character, at most 500,000 UTF-16 code units.")
    idempotency_key: str = strawberry.field(description=ONCE_KEY)
    conversation: strawberry.ID | None = strawberry.field(
        default=None, description="Omit to start a conversation and send in one transaction."
    )
    new_conversation: NewConversationInput | None = strawberry.field(
        default=None, description="Only with `conversation` omitted."
    )
    parent: strawberry.ID | None = strawberry.field(
        default=None,
        description="The message to answer, any of the conversation. Omit for the active leaf. The new reply becomes it either way.",
    )
    expected_leaf: strawberry.ID | None = strawberry.field(
        default=None,
        description="Guards against a stale client: StaleBranch unless it is the active leaf. Not with `parent`.",
    )
    settings: GenerationSettingsInput | None = strawberry.field(
        default=None, description="For this run only; over the conversation's, field by field."
    )
    instruction: str | None = strawberry.field(
        default=None,
        description="For this reply only: 1 to 8,000 UTF-16 code units. It adds to all other instructions and overrides none.",
    )
    on_busy: BusyPolicy = strawberry.field(
        default=BusyPolicy.REJECT, description="What if a run is writing the branch."
    )
    sent_at: datetime | None = strawberry.field(default=None, description="The client's clock.")


@strawberry.input(description="As SendMessageInput, without what only a real send needs.")
class PreviewSendInput:
    text: str = strawberry.field(description="As of SendMessageInput.")
    conversation: strawberry.ID | None = strawberry.field(default=None, description="As of SendMessageInput.")
    new_conversation: NewConversationInput | None = strawberry.field(
        default=None, description="As of SendMessageInput."
    )
    parent: strawberry.ID | None = strawberry.field(default=None, description="As of SendMessageInput.")
    settings: GenerationSettingsInput | None = strawberry.field(default=None, description="As of SendMessageInput.")
    instruction: str | None = strawberry.field(default=None, description="As of SendMessageInput.")
    on_busy: BusyPolicy = strawberry.field(default=BusyPolicy.REJECT, description="As of SendMessageInput.")


@strawberry.input(description="What the viewer says instead: a sibling of the message, with a reply of its own.")
class EditMessageInput:
    message: strawberry.ID = strawberry.field(description="A USER message, else WRONG_ROLE.")
    text: str = strawberry.field(description="As in a send.")
    idempotency_key: str = strawberry.field(description=ONCE_KEY)
    settings: GenerationSettingsInput | None = strawberry.field(
        default=None, description="For this run only; over the conversation's, field by field."
    )
    instruction: str | None = strawberry.field(
        default=None,
        description="For this reply only: 1 to 8,000 UTF-16 code units, as in a send.",
    )
    on_busy: BusyPolicy = strawberry.field(
        default=BusyPolicy.REJECT, description="What if a run is writing the path above the message."
    )
    sent_at: datetime | None = strawberry.field(default=None, description="The client's clock.")


@strawberry.input(description="Which reply is to have a sibling: another answer to the same message.")
class RegenerateReplyInput:
    reply: strawberry.ID = strawberry.field(
        description="An ASSISTANT message that answers something, else WRONG_ROLE; it may still be being written."
    )
    idempotency_key: str = strawberry.field(description=ONCE_KEY)
    settings: GenerationSettingsInput | None = strawberry.field(
        default=None, description="For this run only. Null, field by field: as the old reply had them."
    )
    instruction: str | None = strawberry.field(
        default=None,
        description="For this reply only: 1 to 8,000 UTF-16 code units. Null: what the old reply was told.",
    )
    on_busy: BusyPolicy = strawberry.field(
        default=BusyPolicy.REJECT,
        description="What if a run is writing the path above the message that is answered. BRANCH is as REJECT here.",
    )


@strawberry.input(description="Which reply is to go on.")
class ContinueReplyInput:
    reply: strawberry.ID = strawberry.field(
        description="An ASSISTANT message, else WRONG_ROLE. A leaf is appended to; one with children gets a sibling."
    )
    idempotency_key: str = strawberry.field(description=ONCE_KEY)
    max_output_tokens: int | None = strawberry.field(
        default=None, description="For the rest of the reply; null: as the run before."
    )


async def message(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="A message of the viewer's.")]
) -> Message | None:
    found = node.message_id(id)
    return await info.context.loaders.message.load(found) if found else None


async def conversation(root: strawberry.Parent[Message], info: Info) -> Conversation:
    found = await info.context.loaders.conversation.load(root.conversation_id)
    return there(found)


def excerpt_of(
    root: strawberry.Parent[Message],
    length: Annotated[int, strawberry.argument(description="UTF-16 code units, 1 to 500.")] = 140,
) -> str:
    if not 1 <= length <= LONGEST_EXCERPT:
        raise BadPage(f"`length` goes from 1 to {LONGEST_EXCERPT}.")
    return excerpt(root.text, length)


async def generation(root: strawberry.Parent[Message], info: Info) -> Generation | None:
    return await info.context.loaders.generation.load(root.generation_id) if root.generation_id else None


async def generations(
    root: strawberry.Parent[Message], info: Info, first: First = None, after: After = None
) -> Page[Generation]:
    return there(await info.context.loaders.runs_page(page_args(first, after)).load(root.id))


async def viewer_can(root: strawberry.Parent[Message], info: Info) -> list[MessageAction]:
    # The conversation first: then all messages of a page ask for their runs at once.
    place, run = await conversation(root, info), await generation(root, info)
    services = info.context.services
    wrote = services.models.recorded(run.model_key) if run else None
    usable = wrote is not None and services.access.denial(info.context.viewer, wrote) is None
    return actions(root, place, run, wrote if usable else None)


async def parent(root: strawberry.Parent[Message], info: Info) -> Message | None:
    return await info.context.loaders.message.load(root.parent_id) if root.parent_id else None


async def children(
    root: strawberry.Parent[Message], info: Info, first: First = None, after: After = None
) -> Page[Message]:
    family = Family(root.conversation_id, root.id)
    return there(await info.context.loaders.family_page(page_args(first, after)).load(family))


async def siblings(
    root: strawberry.Parent[Message], info: Info, first: First = None, after: After = None
) -> Page[Message]:
    return there(await info.context.loaders.family_page(page_args(first, after)).load(root.family))


async def sibling_count(root: strawberry.Parent[Message], info: Info) -> int:
    return there(await info.context.loaders.family_size.load(root.family))


async def previous_sibling(root: strawberry.Parent[Message], info: Info) -> Message | None:
    if root.sibling_index == 1:
        return None
    return await info.context.loaders.sibling.load((root.family, root.sibling_index - 1))


async def next_sibling(root: strawberry.Parent[Message], info: Info) -> Message | None:
    return await info.context.loaders.sibling.load((root.family, root.sibling_index + 1))


async def leaf(root: strawberry.Parent[Message], info: Info) -> Message:
    return there(await info.context.loaders.leaf_below.load(root.id)) if root.child_count else root


def model(root: strawberry.Parent[Message], info: Info) -> Model | None:
    return info.context.services.models.recorded(root.model_key) if root.model_key else None


async def send_message(info: Info, input: SendMessageInput) -> Sent:
    command = SendMessage(
        text=input.text,
        idempotency_key=input.idempotency_key,
        conversation=node.named_conversation(input.conversation, "input", "conversation"),
        new_conversation=new_conversation(input.new_conversation),
        parent=node.named_message(input.parent, "input", "parent"),
        expected_leaf=node.guessed_message(input.expected_leaf),
        settings=settings_of(input.settings),
        instruction=input.instruction,
        on_busy=input.on_busy,
        sent_at=input.sent_at,
    )
    return await info.context.services.sends.send(info.context.viewer, command)


async def preview_send(
    info: Info, input: Annotated[PreviewSendInput, strawberry.argument(description="What would be said, and where.")]
) -> Preview:
    command = SendMessage(
        text=input.text,
        idempotency_key=NO_KEY,
        conversation=node.guessed_conversation(input.conversation),
        new_conversation=new_conversation(input.new_conversation),
        parent=node.guessed_message(input.parent),
        settings=settings_of(input.settings),
        instruction=input.instruction,
        on_busy=input.on_busy,
    )
    return await info.context.services.previews.of(info.context.viewer, command)


async def edit_message(info: Info, input: EditMessageInput) -> Sent:
    message = node.named_message(input.message, "input", "message")
    assert message is not None, "a message is named: the input requires it"
    command = EditMessage(
        message,
        input.text,
        input.idempotency_key,
        settings=settings_of(input.settings),
        instruction=input.instruction,
        on_busy=input.on_busy,
        sent_at=input.sent_at,
    )
    return await info.context.services.sends.send(info.context.viewer, command)


async def regenerate_reply(info: Info, input: RegenerateReplyInput) -> Sent:
    reply = node.named_message(input.reply, "input", "reply")
    assert reply is not None, "a reply is named: the input requires it"
    command = RegenerateReply(
        reply,
        input.idempotency_key,
        settings=settings_of(input.settings),
        instruction=input.instruction,
        on_busy=input.on_busy,
    )
    return await info.context.services.sends.send(info.context.viewer, command)


async def continue_reply(info: Info, input: ContinueReplyInput) -> Sent:
    reply = node.named_message(input.reply, "input", "reply")
    assert reply is not None, "a reply is named: the input requires it"
    command = ContinueReply(reply, input.idempotency_key, input.max_output_tokens)
    return await info.context.services.continuations.go_on(info.context.viewer, command)
