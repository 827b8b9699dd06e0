"""Global ids: opaque to clients, a type's name and its own id to us."""

import asyncio
import base64
import binascii
from typing import Annotated
from uuid import UUID

import strawberry

from domain.conversation.entity import Conversation
from domain.errors import BadPage, NotFound
from domain.generation.entity import Generation
from domain.instruction import Instruction
from domain.message import Message
from domain.model import Model, ModelKey
from domain.plan import Plan
from domain.quota.counter import Quota, QuotaId
from domain.user import ApiKey, User, Viewer
from domain.window.summary import ContextSummary
from domain.world import (
    ApiKeyId,
    ConversationId,
    GenerationId,
    InstructionId,
    MessageId,
    PlanKey,
    SummaryId,
    UserId,
)
from resolvers.context import Info

MOST_NODES = 100
NOBODYS = MessageId(UUID(int=0))

Identified = (
    Viewer | User | ApiKey | Conversation | Message | Generation | Model | Instruction | Plan | ContextSummary | Quota
)


def global_id(root: strawberry.Parent[Identified]) -> str:
    return encode(type(root).__name__, root.id)


def encode(kind: str, raw: UUID | str) -> str:
    return base64.urlsafe_b64encode(f"{kind}:{raw}".encode()).decode()


def decode(global_id: str) -> tuple[str, str] | None:
    """The type's name and the raw id; None for what is no id of ours."""
    try:
        kind, separator, raw = base64.b64decode(global_id, altchars=b"-_", validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return (kind, raw) if separator else None


def uuid_of(kind: str, global_id: str | None) -> UUID | None:
    decoded = decode(global_id) if global_id else None
    if decoded is None or decoded[0] != kind:
        return None
    try:
        return UUID(decoded[1])
    except ValueError:
        return None


def conversation_id(global_id: str | None) -> ConversationId | None:
    found = uuid_of("Conversation", global_id)
    return ConversationId(found) if found else None


def message_id(global_id: str | None) -> MessageId | None:
    found = uuid_of("Message", global_id)
    return MessageId(found) if found else None


def generation_id(global_id: str | None) -> GenerationId | None:
    found = uuid_of("Generation", global_id)
    return GenerationId(found) if found else None


def api_key_id(global_id: str | None) -> ApiKeyId | None:
    found = uuid_of("ApiKey", global_id)
    return ApiKeyId(found) if found else None


def user_id(global_id: str | None) -> UserId | None:
    found = uuid_of("User", global_id)
    return UserId(found) if found else None


def named_conversation(global_id: str | None, *path: str) -> ConversationId | None:
    """None when none is named. Raises NotFound for what cannot be one."""
    found = conversation_id(global_id)
    if global_id is not None and found is None:
        raise NotFound(*path)
    return found


def named_message(global_id: str | None, *path: str) -> MessageId | None:
    """None when none is named. Raises NotFound for what cannot be one."""
    found = message_id(global_id)
    if global_id is not None and found is None:
        raise NotFound(*path)
    return found


def guessed_message(global_id: str | None) -> MessageId | None:
    """None when none is named; for what cannot be an id one that no message has."""
    return message_id(global_id) or NOBODYS if global_id is not None else None


def guessed_conversation(global_id: str | None) -> ConversationId | None:
    """Likewise."""
    return conversation_id(global_id) or ConversationId(NOBODYS) if global_id is not None else None


async def node(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Any `id` of this API.")]
) -> Identified | None:
    return await _find(info, id)


async def nodes(
    info: Info, ids: Annotated[list[strawberry.ID], strawberry.argument(description="At most 100.")]
) -> list[Identified | None]:
    """Loaders gather: whatever the number of ids, one statement per type."""
    if len(ids) > MOST_NODES:
        raise BadPage(f"`nodes` takes at most {MOST_NODES} ids.")
    return await asyncio.gather(*(_find(info, each) for each in ids))


async def _find(info: Info, gid: str) -> Identified | None:
    kind, raw = decode(gid) or ("", "")
    context = info.context
    match kind:
        case "Conversation":
            found = conversation_id(gid)
            return await context.loaders.conversation.load(found) if found else None
        case "Message":
            message = message_id(gid)
            return await context.loaders.message.load(message) if message else None
        case "Generation":
            generation = generation_id(gid)
            return await context.loaders.generation.load(generation) if generation else None
        case "Model":
            return context.services.models.find(ModelKey(raw))
        case "Plan":
            return context.services.plans.find(PlanKey(raw))
        case "User" | "Viewer":
            mine = uuid_of(kind, gid) == context.viewer.id
            return (context.viewer.user if kind == "User" else context.viewer) if mine else None
        case "Instruction":
            instruction = uuid_of(kind, gid)
            return await context.loaders.instruction.load(InstructionId(instruction)) if instruction else None
        case "ContextSummary":
            summary = uuid_of(kind, gid)
            return await context.loaders.summary.load(SummaryId(summary)) if summary else None
        case "Quota":
            return await context.loaders.quota.load(QuotaId(raw))
        case "ApiKey":
            key = api_key_id(gid)
            return await context.loaders.api_key.load(key) if key else None
        case _:
            return None
