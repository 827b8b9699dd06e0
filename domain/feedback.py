"""Feedback: what a user thinks of a reply."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from domain.conversation.rules import LIMITS, check_tags
from domain.errors import InputRule, NotFound
from domain.generation.wakes import Wakes
from domain.message import Message, MessageRole, MessageStore
from domain.problems import Problems
from domain.user import Viewer
from domain.world import MessageId, UserId, World


class Rating(Enum):
    UP = "UP"
    DOWN = "DOWN"


@dataclass(frozen=True, slots=True)
class Feedback:
    rating: Rating
    tags: tuple[str, ...]
    comment: str | None
    updated_at: datetime


class FeedbackStore(Protocol):
    async def feedback(self, owner: UserId, ids: Sequence[MessageId]) -> dict[MessageId, Feedback]:
        """Of those messages that have any; one statement."""

    async def rate(self, message: Message, feedback: Feedback | None, at: datetime) -> bool:
        """In place of what was said before, and told to those who follow. False: the conversation is gone."""


class Feedbacks:
    def __init__(self, store: FeedbackStore, messages: MessageStore, wakes: Wakes, world: World) -> None:
        self._store, self._messages, self._wakes, self._world = store, messages, wakes, world

    async def by_message(self, viewer: Viewer, ids: Sequence[MessageId]) -> dict[MessageId, Feedback]:
        return await self._store.feedback(viewer.id, ids)

    async def rate(
        self,
        viewer: Viewer,
        message_id: MessageId | None,
        rating: Rating | None,
        tags: Sequence[str],
        comment: str | None,
    ) -> Message:
        """`rating` None takes the feedback away. Raises Banned, NotFound, InvalidInput."""
        viewer.require_writing()
        found = await self._messages.messages(viewer.id, [message_id] if message_id else [])
        message = next(iter(found.values()), None)
        if message is None:
            raise NotFound("message")
        _check(message, rating, tags, comment)
        now = self._world.now()
        feedback = Feedback(rating, tuple(dict.fromkeys(tags)), comment, now) if rating else None
        if not await self._store.rate(message, feedback, now):
            raise NotFound("message")
        self._wakes.wake([message.conversation_id, viewer.id])
        return message


def _check(message: Message, rating: Rating | None, tags: Sequence[str], comment: str | None) -> None:
    problems = Problems(root=())
    if message.role is not MessageRole.ASSISTANT:
        problems.add(InputRule.WRONG_ROLE, ("message",), "Only a model's reply can be rated.")
    if rating is None and (tags or comment is not None):
        problems.add(
            InputRule.REQUIRED, ("rating",), "Tags and a comment go with a rating; without one they are taken away."
        )
    check_tags(problems, tags, ("tags",))
    if comment is not None:
        problems.text(comment, ("comment",), LIMITS.comment_length)
    problems.refuse()
