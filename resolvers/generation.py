"""Generations: fields, their log by query and by subscription, stopping."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

import strawberry

from domain.conversation.entity import Conversation
from domain.errors import BadPage, UnknownId
from domain.generation.entity import Generation, GenerationError, GenerationSettings
from domain.generation.follow import LogPage
from domain.generation.log import (
    Entry,
    GenerationFinished,
    GenerationSnapshot,
    GenerationStarted,
    LogEntry,
    Stopping,
    TextDelta,
)
from domain.message import Message
from domain.model import Model, Usage
from domain.response_format import ResponseFormat
from resolvers import node
from resolvers.context import Info, there

MOST_EVENTS = 500


@dataclass(frozen=True, slots=True)
class EventPage:
    events: tuple[LogEntry | GenerationSnapshot, ...]
    next_after: int
    terminal: bool


async def generation(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="A generation of the viewer's.")]
) -> Generation | None:
    found = node.generation_id(id)
    return await info.context.loaders.generation.load(found) if found else None


async def conversation(root: strawberry.Parent[Generation], info: Info) -> Conversation:
    return there(await info.context.loaders.conversation.load(root.conversation_id))


async def reply(root: strawberry.Parent[Generation], info: Info) -> Message:
    return there(await info.context.loaders.message.load(root.reply_id))


def model(root: strawberry.Parent[Generation], info: Info) -> Model:
    return info.context.services.models.recorded(root.model_key)


def requested_model(root: strawberry.Parent[Generation], info: Info) -> Model:
    return info.context.services.models.recorded(root.requested_model_key)


def model_of_settings(root: strawberry.Parent[GenerationSettings], info: Info) -> Model | None:
    return info.context.services.models.recorded(root.model) if root.model else None


def schema_of_format(root: strawberry.Parent[ResponseFormat]) -> object | None:
    return json.loads(root.schema) if root.schema is not None else None


async def events(
    root: strawberry.Parent[Generation],
    info: Info,
    after: Annotated[int, strawberry.argument(description="The last seq that was applied; 0: from the start.")] = 0,
    first: Annotated[int, strawberry.argument(description="1 to 500.")] = 100,
) -> EventPage:
    if not 1 <= first <= MOST_EVENTS:
        raise BadPage(f"`first` goes from 1 to {MOST_EVENTS} here.")
    found = there(await info.context.services.generations.events(info.context.viewer, root, after, first))
    return _page(found, max(after, 0))


async def event_generation(root: strawberry.Parent[Entry], info: Info) -> Generation:
    return there(await info.context.loaders.generation.load(root.generation_id))


async def event_reply(root: strawberry.Parent[Entry], info: Info) -> Message:
    run = await event_generation(root, info)
    return there(await info.context.loaders.message.load(run.reply_id))


def started_model(root: strawberry.Parent[GenerationStarted], info: Info) -> Model:
    return info.context.services.models.recorded(root.model_key)


async def finished_usage(root: strawberry.Parent[GenerationFinished], info: Info) -> Usage | None:
    return (await event_generation(root, info)).usage


async def finished_cost(root: strawberry.Parent[GenerationFinished], info: Info) -> Decimal | None:
    return (await event_generation(root, info)).cost


async def finished_error(root: strawberry.Parent[GenerationFinished], info: Info) -> GenerationError | None:
    return (await event_generation(root, info)).error


async def text_so_far(root: strawberry.Parent[TextDelta], info: Info) -> str | None:
    return await info.context.services.generations.text_so_far(info.context.viewer, root)


async def generation_events(
    info: Info,
    generation: Annotated[strawberry.ID, strawberry.argument(description="`generation.id` of a send's answer.")],
    after: Annotated[
        int,
        strawberry.argument(
            description="The last seq that was applied; 0: from the start. Keep it, and resume after a cut."
        ),
    ] = 0,
    snapshot: Annotated[
        bool,
        strawberry.argument(
            description="Begin with one GenerationSnapshot of the state now, `after` ignored: for clients that retry with "
            "the variables they began with. Every reconnect heals the cache and nothing is replayed."
        ),
    ] = False,
) -> AsyncGenerator[LogEntry | GenerationSnapshot, None]:
    found = node.generation_id(generation)
    if found is None:
        raise UnknownId("There is no such generation: it never existed, was deleted, or is not yours.")
    async with aclosing(
        info.context.services.generations.follow(info.context.viewer, found, after, snapshot=snapshot)
    ) as entries:
        async for entry in entries:
            yield entry


async def stop_generation(
    info: Info,
    generation: Annotated[strawberry.ID, strawberry.argument(description="The run to stop.")],
    seen_seq: Annotated[
        int | None,
        strawberry.argument(
            description="The last seq that the user has seen: what came after is taken back. Null: keep all."
        ),
    ] = None,
) -> Stopping:
    return await info.context.services.generations.stop(info.context.viewer, node.generation_id(generation), seen_seq)


def already_ended(root: strawberry.Parent[Stopping]) -> bool:
    return root.already


def _page(found: LogPage, after: int) -> EventPage:
    next_after = found.entries[-1].seq if found.entries else after
    return EventPage(found.entries, next_after, terminal=found.ended and next_after >= found.last_seq)
