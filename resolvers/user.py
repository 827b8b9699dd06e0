"""Who is asking, and their API keys."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import strawberry

from domain.conversation.entity import Conversation
from domain.conversation.events import ConversationRemoved, ConversationTouched, ViewerEvent
from domain.conversation.rules import LIMITS, InputLimits
from domain.generation.entity import Generation
from domain.model import Model
from domain.user import ApiKey, IssuedKey, User, Viewer
from domain.world import ApiKeyId
from resolvers import node
from resolvers.context import Info, there


@strawberry.input(description="A new API key for the viewer.")
class CreateApiKeyInput:
    name: str = strawberry.field(description="What the viewer will recognise it by: 1 to 100 characters.")
    expires_at: datetime | None = strawberry.field(default=None, description="Null: it does not expire.")


@dataclass(frozen=True, slots=True)
class RevokedKey:
    id: ApiKeyId


def viewer(info: Info) -> Viewer | None:
    return info.context.visitor


def user_of_viewer(root: strawberry.Parent[Viewer]) -> User:
    return root.user


async def api_keys(root: strawberry.Parent[Viewer], info: Info) -> list[ApiKey]:
    return await info.context.services.users.keys(root)


async def active_generations(root: strawberry.Parent[Viewer], info: Info) -> list[Generation]:
    return await info.context.services.generations.active(root)


async def viewer_events(info: Info) -> AsyncGenerator[ViewerEvent, None]:
    events = info.context.services.viewer_followers.follow(info.context.viewer)
    async with aclosing(events):
        async for event in events:
            yield event


async def touched(root: strawberry.Parent[ConversationTouched], info: Info) -> Conversation:
    return there(await info.context.loaders.conversation.load(root.conversation_id))


def removed_id(root: strawberry.Parent[ConversationRemoved]) -> str:
    return node.encode("Conversation", root.conversation_id)


def default_model(root: strawberry.Parent[Viewer], info: Info) -> Model | None:
    return info.context.services.access.default(root)


def input_limits(root: strawberry.Parent[Viewer]) -> InputLimits:
    return LIMITS


def viewer_now(root: strawberry.Parent[object], info: Info) -> Viewer:
    return info.context.viewer


async def create_api_key(info: Info, input: CreateApiKeyInput) -> IssuedKey:
    return await info.context.services.users.create_key(info.context.viewer, input.name, input.expires_at)


async def revoke_api_key(
    info: Info, api_key: Annotated[strawberry.ID, strawberry.argument(description="One of `viewer.apiKeys`.")]
) -> RevokedKey:
    viewer = info.context.viewer
    return RevokedKey(await info.context.services.users.revoke_key(viewer, node.api_key_id(api_key)))


def revoked_id(root: strawberry.Parent[RevokedKey]) -> str:
    return node.encode("ApiKey", root.id)


def issued(root: strawberry.Parent[IssuedKey]) -> ApiKey:
    return root.key
