"""Work that nobody waits for: remembered with what caused it, and done soon by any process, once or more."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from uuid import UUID

from domain.world import ConversationId, MessageId, UserId

# Woken when there may be a job to do.
JOBS = UUID(int=3)


class JobKind(Enum):
    TITLE = "title"
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True)
class Job:
    """What it is about may be gone by now."""

    kind: JobKind
    owner_id: UserId
    conversation_id: ConversationId
    message_id: MessageId


class NotNow(Exception):
    """The job cannot be done at the moment: it is tried again later."""


# It may be called again for a job that it has done: whoever did it may die before this is noted.
JobHandler = Callable[[Job], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class JobPolicy:
    """After `tries`, or so long after its cause, a job is dropped. The pause before the next try doubles with each."""

    tries: int = 10
    first_pause: timedelta = timedelta(seconds=1)
    longest_pause: timedelta = timedelta(minutes=5)
    oldest: timedelta = timedelta(hours=1)

    def pause(self, failures: int, age: timedelta) -> timedelta | None:
        """Before the next try, after so many that failed; None: there is none."""
        if failures >= self.tries or age > self.oldest:
            return None
        doubled: timedelta = self.first_pause * 2 ** (failures - 1)
        return min(doubled, self.longest_pause)
