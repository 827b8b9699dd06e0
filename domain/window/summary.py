"""What stands in for turns that fell out of the window: made in the background, stored once for every branch below it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.model import ModelKey
from domain.world import MessageId, SummaryId, UserId


@dataclass(frozen=True, slots=True)
class ContextSummary:
    """Of the path from its root down to `covers_through`, which stands at `depth`. `tokens`: of `text`, by who wrote it."""

    id: SummaryId
    text: str
    covers_through: MessageId
    depth: int
    model_key: ModelKey
    tokens: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Turns that no summary covers and that fall out now or soon: a summary down to `through` is wanted."""

    through: MessageId
    depth: int


class Summaries(Protocol):
    async def newest(self, owner: UserId, leaf: MessageId) -> ContextSummary | None:
        """Of those that stand on the path down to `leaf`, the one that covers the most of it."""

    async def recorded(self, owner: UserId, summary: SummaryId) -> ContextSummary | None:
        """One that a reply was given."""


class NoSummaries:
    """Satisfies `Summaries` where none are made."""

    async def newest(self, owner: UserId, leaf: MessageId) -> ContextSummary | None:
        return None

    async def recorded(self, owner: UserId, summary: SummaryId) -> ContextSummary | None:
        return None
