"""What stands in for turns that fell out of the window: made in the background, stored once for every branch below it."""

from collections.abc import Sequence
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
class Standing:
    """Of those that stand on a path `summary` covers the most of it. `refused_at`: how deep the last refused one would have covered."""

    summary: ContextSummary | None = None
    refused_at: int | None = None

    def wants(self, depth: int) -> bool:
        """Whether to ask for one that covers down to `depth`: after a refusal not before there is twice as much to sum up."""
        covered = self.summary.depth if self.summary else -1
        if self.refused_at is None or self.refused_at <= covered:
            return depth > covered
        return depth - covered >= 2 * (self.refused_at - covered)


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Turns that no summary covers and that fall out now or soon: a summary down to `through` is wanted."""

    through: MessageId
    depth: int


class Summaries(Protocol):
    async def standing(self, owner: UserId, leaf: MessageId) -> Standing:
        """On the path down to `leaf`; one statement."""

    async def by_id(self, owner: UserId, ids: Sequence[SummaryId]) -> dict[SummaryId, ContextSummary]: ...
