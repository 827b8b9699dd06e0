"""What happens in a conversation, for its other tabs and devices: a small log of its own, without tokens."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from domain.errors import BadCursor, Unavailable, UnknownId
from domain.generation.wakes import Wakes
from domain.user import Viewer
from domain.world import ConversationId, GenerationId, MessageId, UserId, World

T = TypeVar("T")

POLL = timedelta(seconds=1)
RECENT = timedelta(minutes=1)
MOST_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Event:
    """`seq` rises in one conversation and may skip."""

    seq: int
    at: datetime
    conversation_id: ConversationId


@dataclass(frozen=True, slots=True)
class ConversationSnapshot(Event):
    """Not in the log: where the log begins for a reader without a cursor, or with one past retention."""


@dataclass(frozen=True, slots=True)
class MessageAdded(Event):
    message_id: MessageId


@dataclass(frozen=True, slots=True)
class BranchSelected(Event):
    message_id: MessageId


@dataclass(frozen=True, slots=True)
class ReplyStarted(Event):
    message_id: MessageId
    generation_id: GenerationId


@dataclass(frozen=True, slots=True)
class ReplyFinished(Event):
    message_id: MessageId
    generation_id: GenerationId


@dataclass(frozen=True, slots=True)
class MessageChanged(Event):
    message_id: MessageId


@dataclass(frozen=True, slots=True)
class ConversationChanged(Event):
    """Its own fields, its state or its read mark."""


ConversationEvent = (
    ConversationSnapshot
    | MessageAdded
    | MessageChanged
    | BranchSelected
    | ConversationChanged
    | ReplyStarted
    | ReplyFinished
)


@dataclass(frozen=True, slots=True)
class EventSlice:
    """`last_seq`: of the log; `kept_after`: entries up to it are gone."""

    events: tuple[ConversationEvent, ...]
    last_seq: int
    kept_after: int


@dataclass(frozen=True, slots=True)
class Touch:
    """Something happened in one of a user's conversations; `removed`: it was deleted."""

    conversation_id: ConversationId
    seq: int
    removed: bool


@dataclass(frozen=True, slots=True)
class ViewerSnapshot:
    """Look at the whole list again."""

    at: datetime


@dataclass(frozen=True, slots=True)
class ConversationTouched:
    at: datetime
    conversation_id: ConversationId


@dataclass(frozen=True, slots=True)
class ConversationRemoved:
    at: datetime
    conversation_id: ConversationId


ViewerEvent = ViewerSnapshot | ConversationTouched | ConversationRemoved


class EventStore(Protocol):
    async def events(self, owner: UserId, conversation_id: ConversationId, after: int, limit: int) -> EventSlice | None:
        """In one snapshot. None: not there, not theirs, or deleted."""

    async def touches(self, owner: UserId, within: timedelta) -> list[Touch]:
        """The latest of each of their conversations in which something happened `within` that time, deleted ones too."""

    async def forget_events(self, older_than: timedelta, limit: int) -> int:
        """Purges at most `limit`; the number purged."""


class ConversationFollowers:
    def __init__(self, store: EventStore, wakes: Wakes, world: World) -> None:
        self._store, self._wakes, self._world = store, wakes, world

    async def follow(
        self, viewer: Viewer, conversation_id: ConversationId, after: int | None
    ) -> AsyncGenerator[ConversationEvent, None]:
        """Ends when the conversation is deleted. Raises UnknownId, BadCursor."""
        cursor = await self._start(viewer, conversation_id, after)
        with self._wakes.watching(conversation_id) as woken:
            while True:
                woken.clear()
                found = await patiently(
                    partial(self._store.events, viewer.id, conversation_id, cursor or 0, MOST_AT_ONCE)
                )
                if found is None:
                    return
                if cursor is None or cursor < found.kept_after:
                    cursor = found.last_seq
                    yield ConversationSnapshot(cursor, self._world.now(), conversation_id)
                    continue
                for event in found.events:
                    yield event
                    cursor = event.seq
                if not found.events:
                    await woken.wait_at_most(POLL)

    async def _start(self, viewer: Viewer, conversation_id: ConversationId, after: int | None) -> int | None:
        found = await self._store.events(viewer.id, conversation_id, 0, 1)
        if found is None:
            raise UnknownId("There is no such conversation: it never existed, was deleted, or is not yours.")
        if after is not None and after > found.last_seq:
            raise BadCursor(f"`after` lies beyond the log, which ends at {found.last_seq} now.")
        return max(after, 0) if after is not None else None


class ViewerFollowers:
    """For a sidebar: which conversations to look at again. No cursor: each follower begins with a snapshot."""

    def __init__(self, store: EventStore, wakes: Wakes, world: World) -> None:
        self._store, self._wakes, self._world = store, wakes, world

    async def follow(self, viewer: Viewer) -> AsyncGenerator[ViewerEvent, None]:
        """ViewerSnapshot first; then each change once, of several in one conversation only the latest."""
        with self._wakes.watching(viewer.id) as woken:
            shown = await self._recent(viewer)
            yield ViewerSnapshot(self._world.now())
            while True:
                await woken.wait_at_most(POLL)
                woken.clear()
                recent = await self._recent(viewer)
                for conversation_id, touch in recent.items():
                    before = shown.get(conversation_id)
                    if before is None or (touch.seq, touch.removed) > (before.seq, before.removed):
                        yield self._event(touch)
                shown = recent

    def _event(self, touch: Touch) -> ViewerEvent:
        kind = ConversationRemoved if touch.removed else ConversationTouched
        return kind(self._world.now(), touch.conversation_id)

    async def _recent(self, viewer: Viewer) -> dict[ConversationId, Touch]:
        """What lies further back than RECENT was shown: it is longer than any commit takes."""
        touches = await patiently(partial(self._store.touches, viewer.id, RECENT))
        return {touch.conversation_id: touch for touch in touches}


async def patiently(read: Callable[[], Awaitable[T]]) -> T:
    """An outage of the database pauses a stream; it does not end it."""
    while True:
        try:
            return await read()
        except Unavailable as outage:
            await asyncio.sleep(outage.retry_after)
