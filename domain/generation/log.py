"""The token log: what happened in a run, in order, for ever."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Protocol

from domain.generation.entity import Ending, FinishReason, Generation, GenerationStatus, GenerationTrigger, Notice
from domain.message import Message
from domain.model import ModelKey
from domain.page import Page, PageArgs
from domain.text import cut, units
from domain.world import ConversationId, GenerationId, MessageId, NodeId, UserId

READ_AT_ONCE = 1000


class TruncationReason(Enum):
    STOPPED = "STOPPED"
    REPAIR = "REPAIR"


@dataclass(frozen=True, slots=True)
class Entry:
    seq: int
    at: datetime
    generation_id: GenerationId


@dataclass(frozen=True, slots=True)
class GenerationQueued(Entry):
    """`position` is 1 for the next to start."""

    position: int


@dataclass(frozen=True, slots=True)
class GenerationStarted(Entry):
    attempt: int
    model_key: ModelKey


@dataclass(frozen=True, slots=True)
class TextDelta(Entry):
    """`offset`: where `text` begins in the reply, in UTF-16 code units."""

    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class ReasoningDelta(Entry):
    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class TextTruncated(Entry):
    length: int
    reason: TruncationReason


@dataclass(frozen=True, slots=True)
class NoticeRaised(Entry):
    notice: Notice


@dataclass(frozen=True, slots=True)
class GenerationFinished(Entry):
    status: GenerationStatus
    finish_reason: FinishReason


LogEntry = (
    GenerationQueued
    | GenerationStarted
    | TextDelta
    | ReasoningDelta
    | TextTruncated
    | NoticeRaised
    | GenerationFinished
)


@dataclass(frozen=True, slots=True)
class GenerationSnapshot(Entry):
    """Not in the log: the reply as of `seq`, for a reader who asks for it, or whose cursor is past retention."""

    reply: Message


def text_of(entries: Sequence[LogEntry], kept: str = "") -> str:
    """The reply's text after these entries; `kept` is what stood there before the run."""
    text = kept
    for entry in entries:
        if isinstance(entry, TextDelta):
            text += entry.text
        elif isinstance(entry, TextTruncated):
            text = cut(text, entry.length)
    return text


def seen_units(entries: Sequence[LogEntry], seq: int, kept: str = "") -> int:
    """How much of the text after all entries was there at `seq`: of one that took another's place, what both begin with."""
    length = units(text_of([entry for entry in entries if entry.seq <= seq], kept))
    later_cuts = [entry.length for entry in entries if isinstance(entry, TextTruncated) and entry.seq > seq]
    return min([length, *later_cuts])


def times_asked(entries: Sequence[LogEntry]) -> int:
    return 1 + sum(isinstance(entry, TextTruncated) and entry.reason is TruncationReason.REPAIR for entry in entries)


def reasoning_of(entries: Sequence[LogEntry]) -> str | None:
    return "".join(entry.text for entry in entries if isinstance(entry, ReasoningDelta)) or None


@dataclass(frozen=True, slots=True)
class NewText:
    """A delta that has no seq yet. `tokens`: how many pieces of the model's it was made of."""

    text: str
    offset: int
    reasoning: bool = False
    tokens: int = 1

    @property
    def end(self) -> int:
        return self.offset + units(self.text)


@dataclass(frozen=True, slots=True)
class NewStart:
    """The model that is asked now, another one than before after a fallback, and what its answer may take."""

    attempt: int
    model_key: ModelKey
    output_tokens: int


@dataclass(frozen=True, slots=True)
class NewNotice:
    notice: Notice


@dataclass(frozen=True, slots=True)
class NewCut:
    """The text is cut to `length`, and what comes next takes the place of the rest."""

    length: int
    reason: TruncationReason


NewEntry = NewText | NewStart | NewNotice | NewCut


@dataclass(frozen=True, slots=True)
class Append:
    """`entries` become seq previous + 1, previous + 2 ..., if the run still is at `attempt` and its log at `previous`."""

    generation_id: GenerationId
    attempt: int
    previous: int
    entries: tuple[NewEntry, ...]

    @property
    def last(self) -> int:
        return self.previous + len(self.entries)


@dataclass(frozen=True, slots=True)
class Appended:
    """What the log says after an append: `last_seq` is `append.last` when it was taken, `at` the time of its entries.

    Not taken: another attempt, or an end, means that the run is lost; the same attempt with another `last_seq`
    means that an earlier append of unknown outcome had been committed.
    """

    attempt: int
    last_seq: int
    ended: bool
    stop: "StopRequest | None"
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StopRequest:
    """`seen_seq`: keep the text up to it; None: all. The first request wins."""

    seen_seq: int | None
    reason: FinishReason = FinishReason.USER_STOP


@dataclass(frozen=True, slots=True)
class Want:
    generation_id: GenerationId
    after: int
    limit: int


@dataclass(frozen=True, slots=True)
class Slice:
    """Entries after a cursor, and the state, in one snapshot. `kept_after`: entries up to it are gone."""

    entries: tuple[LogEntry, ...]
    last_seq: int
    ended: bool
    kept_after: int = 0


@dataclass(frozen=True, slots=True)
class Stopping:
    """`already`: it was over, or being stopped, before. `node`: whose run it is."""

    generation: Generation
    already: bool
    node: NodeId | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """What follows from the end of a run.

    `awaited`: another run is queued that waits for this one, or for its place in a line. `left_job`: there is a job to do.
    `stop`: nothing was written, as the run was asked to stop before it could end in another way.
    """

    awaited: bool = False
    stop: StopRequest | None = None
    left_job: bool = False


class TokenLog(Protocol):
    async def append(self, batch: Sequence[Append]) -> dict[GenerationId, Appended]:
        """One statement and one commit for all. A run missing from the answer was locked: it goes with the next batch."""

    async def read(self, wants: Sequence[Want]) -> list[Slice | None]:
        """In the order of `wants`, None for an unknown run; one statement for all. Permission is the caller's."""

    async def finish(
        self, generation: Generation, ending: Ending, cost: Decimal | None, *, previous: int, cut_to: int | None
    ) -> Ended:
        """The end, in one statement: TextTruncated to `cut_to` if given, GenerationFinished, the reply, the run.

        Nothing is written unless the run is still at `generation.attempt`, its log at `previous`, and not ended.
        Of a stop and an end that is no stop's, one comes first: the stop is given back, or finds the run ended.
        """

    async def ask_to_stop(self, owner: UserId, generation_id: GenerationId, request: StopRequest) -> Stopping | None:
        """None: not there, or not theirs. The request is clamped to the log."""

    async def stops(self, node: NodeId) -> dict[GenerationId, StopRequest]:
        """Runs of this node that are asked to stop and have not ended."""

    async def renew(self, node: NodeId, live: Sequence[GenerationId], lease: timedelta) -> None:
        """Those of `live` that are unfinished and still this node's; by the database's clock, as all leases."""

    async def abandoned(self, limit: int) -> list[GenerationId]:
        """Unfinished runs of any node whose lease has run out."""

    async def left_by(self, node: NodeId, limit: int) -> list[GenerationId]:
        """Unfinished runs of this node: at its start they are of the process that had its name before."""

    async def take(self, generation_id: GenerationId, node: NodeId, lease: timedelta, *, own: bool) -> "Claimed | None":
        """The run with the next attempt, leased by `node`; None if it ended or (unless `own`) its lease is alive after all.

        One that has delivered nothing starts over: GenerationStarted is repeated with the new attempt.
        """

    async def give_back(self, generation: Generation) -> None:
        """Lets go of a run that has delivered nothing, so that another node takes it at once."""

    async def claim(self, node: NodeId, lease: timedelta, line: "Line", limit: int) -> list["Claimed"]:
        """Starts runs of the line that are QUEUED and whose turn it is, oldest first and fairly by user; they are RUNNING now.

        Those asked to stop have their turn at once. Those that go on waiting are told their position, by GenerationQueued,
        when it has changed and at most once a second.
        """

    async def know(self, models: Sequence[ModelKey]) -> None:
        """A living process has these in its configuration; to be said again and again."""

    async def forsaken(self, unseen: timedelta, limit: int) -> list[Generation]:
        """QUEUED runs, for so long at least, of models that no process has said to know for so long."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run that is this node's from now on; `stop`: it was asked to stop before."""

    generation: Generation
    stop: StopRequest | None


@dataclass(frozen=True, slots=True)
class Line:
    """Those who wait for one model server. `capacity`: how many of its runs may be alive at once over all processes.

    `name` is the server's; an embedded one belongs to its node, and so does its line.
    """

    name: str
    models: tuple[ModelKey, ...]
    capacity: int | None


@dataclass(frozen=True, slots=True)
class GenerationFilter:
    """Empty: any."""

    statuses: frozenset[GenerationStatus] = frozenset()
    triggers: frozenset[GenerationTrigger] = frozenset()

    @property
    def unfinished(self) -> bool:
        """Whether none that has ended can be meant."""
        return bool(self.statuses) and self.statuses <= {GenerationStatus.QUEUED, GenerationStatus.RUNNING}


class GenerationStore(Protocol):
    async def compact(self, older_than: timedelta, limit: int) -> int:
        """Drops the entries, but the last, of at most `limit` runs that ended so long ago; the number of runs."""

    async def generations(self, owner: UserId, ids: Sequence[GenerationId]) -> dict[GenerationId, Generation]: ...

    async def unfinished(self, owner: UserId, limit: int) -> list[Generation]:
        """Oldest first."""

    async def handed_over(self, models: Sequence[ModelKey], within: timedelta, limit: int) -> list[Generation]:
        """Ended `within` that time and handed over, of these models, whose replies are still leaves that they wrote last."""

    async def let_be(self, generation_id: GenerationId) -> None:
        """It was handed over, and cannot be gone on with."""


class GenerationLists(GenerationStore, Protocol):
    async def of_conversation(
        self, owner: UserId, conversation_id: ConversationId, having: GenerationFilter, page: PageArgs
    ) -> Page[Generation]:
        """Latest first."""

    async def of_replies(
        self, owner: UserId, replies: Sequence[MessageId], page: PageArgs
    ) -> dict[MessageId, Page[Generation]]:
        """Of each reply, oldest first; one statement."""


async def read_all(log: TokenLog, generation_id: GenerationId) -> list[LogEntry]:
    """The whole log as it is now. Raises Unavailable."""
    entries: list[LogEntry] = []
    while True:
        [found] = await log.read([Want(generation_id, entries[-1].seq if entries else 0, READ_AT_ONCE)])
        if found is None or not found.entries:
            return entries
        entries.extend(found.entries)
