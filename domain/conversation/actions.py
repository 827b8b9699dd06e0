"""What a user may try on a message, by its role, its status and the conversation's state; limits can still refuse."""

from enum import Enum

from domain.conversation.continuing import kept_of, was_cut_short
from domain.conversation.entity import Conversation, ConversationState
from domain.generation.entity import Generation
from domain.message import Message, MessageRole, MessageStatus
from domain.model import Model, ModelCapability

UNFINISHED = frozenset({MessageStatus.PENDING, MessageStatus.STREAMING})


class MessageAction(Enum):
    EDIT = "EDIT"
    REGENERATE = "REGENERATE"
    CONTINUE = "CONTINUE"
    STOP = "STOP"
    RATE = "RATE"
    FORK = "FORK"
    SELECT = "SELECT"
    REPLY = "REPLY"


def actions(
    message: Message, conversation: Conversation, run: Generation | None, model: Model | None
) -> list[MessageAction]:
    """`run` wrote the message last; None: nobody did, or not here. `model`: its model, if the viewer may still use it."""
    is_reply, is_open = message.role is MessageRole.ASSISTANT, conversation.is_open
    may = {
        MessageAction.EDIT: is_open and message.role is MessageRole.USER,
        MessageAction.REGENERATE: is_open and is_reply and message.parent_id is not None,
        MessageAction.CONTINUE: is_open and is_reply and _can_go_on(message, run, model),
        MessageAction.STOP: is_reply and message.status in UNFINISHED,
        MessageAction.RATE: is_reply,
        MessageAction.FORK: True,
        MessageAction.SELECT: conversation.state is not ConversationState.ARCHIVED,
        MessageAction.REPLY: is_open,
    }
    return [action for action, allowed in may.items() if allowed]


def _can_go_on(reply: Message, run: Generation | None, model: Model | None) -> bool:
    if run is None or model is None or run.ended_at is None:
        return False
    able = not kept_of(reply) or ModelCapability.CONTINUE in model.capabilities
    return able and was_cut_short(reply, run)
