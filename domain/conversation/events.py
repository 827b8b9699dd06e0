"""What happens in a conversation, for its other tabs and devices: a small log of its own, without tokens."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from domain.errors import BadCursor, Unavailable, UnknownId
from domain.generation.wakes import Wakes
from domain.quota.counter import Quota, QuotaId
from domain.user import Viewer
from domain.world import ConversationId, GenerationId, MessageId, UserId, World

T = TypeVar("T")

POLL = timedelta(seconds=1)
RECENT = timedelta(minutes=1)
BETWEEN_BARS = timedelta(seconds=1)
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


@dataclass(frozen=True, slots=True)
class QuotaMoved:
    at: datetime
    quota: Quota


ViewerEvent = ViewerSnapshot | ConversationTouched | ConversationRemoved | QuotaMoved


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


class ViewerQuotas(Protocol):
    async def by_id(self, viewer: Viewer) -> dict[QuotaId, Quota]: ...


class Bars:
    """The limits as a follower was told of them last. They move with what happens in conversations."""

    def __init__(self, shown: dict[QuotaId, Quota], clock: Callable[[], float]) -> None:
        self._shown, self._clock, self._looked_at = shown, clock, clock()
        self.is_news = False

    def are_due(self) -> bool:
        """There may be something new, and they were not looked at for a while."""
        return self.is_news and self._clock() - self._looked_at >= BETWEEN_BARS.total_seconds()

    def moved(self, now: dict[QuotaId, Quota]) -> list[Quota]:
        before, self._shown, self._looked_at, self.is_news = self._shown, now, self._clock(), False
        return [quota for quota in now.values() if before.get(quota.id) != quota]


class ViewerFollowers:
    """For a sidebar and its bars: which conversations to look at again, and how limits move. No cursor: each follower
    begins with a snapshot."""

    def __init__(self, store: EventStore, quotas: ViewerQuotas, wakes: Wakes, world: World) -> None:
        self._store, self._quotas, self._wakes, self._world = store, quotas, wakes, world

    async def follow(self, viewer: Viewer) -> AsyncGenerator[ViewerEvent, None]:
        """ViewerSnapshot first; then each change once, of several in one conversation only the latest."""
        with self._wakes.watching(viewer.id) as woken:
            shown = await self._recent(viewer)
            bars = Bars(await patiently(partial(self._quotas.by_id, viewer)), asyncio.get_running_loop().time)
            yield ViewerSnapshot(self._world.now())
            while True:
                await woken.wait_at_most(POLL)
                woken.clear()
                recent = await self._recent(viewer)
                for conversation_id, touch in recent.items():
                    before = shown.get(conversation_id)
                    if before is None or (touch.seq, touch.removed) > (before.seq, before.removed):
                        bars.is_news = True
                        yield self._event(touch)
                shown = recent
                if bars.are_due():
                    for quota in bars.moved(await patiently(partial(self._quotas.by_id, viewer))):
                        yield QuotaMoved(self._world.now(), quota)

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
