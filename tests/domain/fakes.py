"""A log in memory with the Protocol's rules, a model that says what it is told to, and what tests need around them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from domain.errors import ContextTooLarge, ModelFailure, Unavailable
from domain.generation.entity import Ending, Generation, GenerationSettings, GenerationStatus, GenerationTrigger
from domain.generation.log import (
    Append,
    Appended,
    Claimed,
    Ended,
    GenerationFinished,
    GenerationStarted,
    Line,
    LogEntry,
    NewText,
    Slice,
    Stopping,
    StopRequest,
    TextDelta,
    TextTruncated,
    TruncationReason,
    Want,
    text_of,
)
from domain.generation.prepare import Order
from domain.generation.writer import stored
from domain.message import Message, MessageRole, Place
from domain.model import (
    AnswerEnd,
    LanguageModel,
    Model,
    ModelCapability,
    ModelFinishReason,
    ModelHealth,
    ModelKey,
    ModelRequest,
    Models,
    Piece,
    Speaker,
    TextPiece,
    Turn,
)
from domain.response_format import ResponseFormat, SchemaProblem
from domain.user import ApiKey, Role, User, Viewer
from domain.world import ApiKeyId, BranchId, ConversationId, GenerationId, MessageId, NodeId, UserId, uuid7

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
NODE = NodeId(UUID(int=1))


class FakeWorld:
    def __init__(self) -> None:
        self.time, self.made = NOW, 0

    def now(self) -> datetime:
        return self.time

    def new_id(self) -> UUID:
        self.made += 1
        return uuid7(int(self.time.timestamp() * 1000), self.made)


def a_model(**changes: object) -> Model:
    model = Model(
        key=ModelKey("small"),
        provider="here",
        name_at_provider="small-1",
        display_name="Small",
        context_window=4096,
        max_output_tokens=512,
        capabilities=frozenset({ModelCapability.STREAMING}),
        input_price_per_million=Decimal("0.50"),
        output_price_per_million=Decimal("1.50"),
    )
    return replace(model, **changes)  # type: ignore[arg-type]  # any of its fields


def a_viewer() -> Viewer:
    user = User(UserId(UUID(int=7)), "Ada", Role.USER, NOW)
    return Viewer(user, ApiKey(ApiKeyId(UUID(int=8)), user.id, "laptop", "gus_abc", False, NOW))


def a_generation(number: int = 1) -> Generation:
    return Generation(
        id=GenerationId(UUID(int=100 + number)),
        conversation_id=ConversationId(UUID(int=2)),
        owner_id=a_viewer().id,
        reply_id=MessageId(UUID(int=3)),
        trigger=GenerationTrigger.SEND,
        status=GenerationStatus.RUNNING,
        model_key=ModelKey("small"),
        requested_model_key=ModelKey("small"),
        settings=GenerationSettings(),
        estimated_input_tokens=11,
        queued_at=NOW,
        started_at=NOW,
        last_seq=1,
    )


def an_order(generation: Generation | None = None) -> Order:
    return Order(generation or a_generation(), a_model(), ModelRequest("small-1", (Turn(Speaker.USER, "Hi"),), 100))


@dataclass
class FakeLog:
    """`outages`: so many calls to come are answered with Unavailable, after (`lost_answers`) the work was done."""

    entries: dict[GenerationId, list[LogEntry]] = field(default_factory=dict)
    runs: dict[GenerationId, Generation] = field(default_factory=dict)
    endings: dict[GenerationId, Ending] = field(default_factory=dict)
    stop_requests: dict[GenerationId, StopRequest] = field(default_factory=dict)
    appends: list[Sequence[Append]] = field(default_factory=list)
    outages: int = 0
    lost_answers: bool = False
    locked: set[GenerationId] = field(default_factory=set)
    given_back: set[GenerationId] = field(default_factory=set)
    known: set[ModelKey] = field(default_factory=set)
    poison: str | None = None
    kept_after: int = 0

    def begin(self, generation: Generation) -> Generation:
        self.runs[generation.id] = generation
        started = GenerationStarted(1, NOW, generation.id, 1, generation.model_key)
        self.entries[generation.id] = [started] if generation.last_seq else []
        return generation

    def text(self, generation_id: GenerationId) -> list[str]:
        return [entry.text for entry in self.entries[generation_id] if isinstance(entry, TextDelta)]

    async def append(self, batch: Sequence[Append]) -> dict[GenerationId, Appended]:
        await asyncio.sleep(0)
        failing = self._fails()
        if failing and not self.lost_answers:
            raise Unavailable("down", retry_after=0)
        if self.poison and any(
            self.poison in delta.text for append in batch for delta in append.entries if isinstance(delta, NewText)
        ):
            raise ValueError("no column takes this")
        self.appends.append(batch)
        answer = {
            append.generation_id: self._append(append) for append in batch if append.generation_id not in self.locked
        }
        if failing:
            raise Unavailable("down", retry_after=0)
        return answer

    async def read(self, wants: Sequence[Want]) -> list[Slice | None]:
        await asyncio.sleep(0)
        if self._fails():
            raise Unavailable("down", retry_after=0)
        return [self._read(want) if want.generation_id in self.runs else None for want in wants]

    async def finish(
        self, generation: Generation, ending: Ending, cost: Decimal | None, *, previous: int, cut_to: int | None
    ) -> Ended:
        if self._fails():
            raise Unavailable("down", retry_after=0)
        run = self.runs[generation.id]
        if run.ended_at or run.attempt != generation.attempt or run.last_seq != previous:
            return Ended()
        if ending.status is not GenerationStatus.STOPPED and run.id in self.stop_requests:
            return Ended(stop=self.stop_requests[run.id])
        entries, seq = self.entries[run.id], previous
        if cut_to is not None:
            seq += 1
            entries.append(TextTruncated(seq, NOW, run.id, cut_to, TruncationReason.STOPPED))
        entries.append(GenerationFinished(seq + 1, NOW, run.id, ending.status, ending.finish_reason))
        self.endings[run.id] = ending
        self.runs[run.id] = replace(
            run, status=ending.status, ended_at=NOW, last_seq=seq + 1, usage=ending.usage, cost=cost
        )
        return Ended(awaited=True)

    async def ask_to_stop(self, owner: UserId, generation_id: GenerationId, request: StopRequest) -> Stopping | None:
        run = self.runs.get(generation_id)
        if run is None or run.owner_id != owner:
            return None
        already = run.ended_at is not None or generation_id in self.stop_requests
        if not already:
            self.stop_requests[generation_id] = request
        return Stopping(run, already)

    async def stops(self, node: NodeId) -> dict[GenerationId, StopRequest]:
        return {key: stop for key, stop in self.stop_requests.items() if self.runs[key].ended_at is None}

    async def renew(self, node: NodeId, live: Sequence[GenerationId], lease: timedelta) -> None:
        return None

    async def abandoned(self, limit: int) -> list[GenerationId]:
        return []

    async def left_by(self, node: NodeId, limit: int) -> list[GenerationId]:
        return [run.id for run in self.runs.values() if run.ended_at is None][:limit]

    async def take(self, generation_id: GenerationId, node: NodeId, lease: timedelta, *, own: bool) -> Claimed | None:
        run = self._started(replace(self.runs[generation_id], attempt=self.runs[generation_id].attempt + 1))
        return Claimed(run, self.stop_requests.get(generation_id))

    async def give_back(self, generation: Generation) -> None:
        self.given_back.add(generation.id)

    async def claim(self, node: NodeId, lease: timedelta, line: Line, limit: int) -> list[Claimed]:
        queued = [run for run in self.runs.values() if run.status is GenerationStatus.QUEUED]
        waiting = [run for run in queued if run.model_key in line.models]
        free = limit if line.capacity is None else line.capacity - self._running()
        turn = [run for run in waiting if run.id in self.stop_requests][:limit] or waiting[: max(free, 0)]
        return [
            Claimed(self._started(replace(run, status=GenerationStatus.RUNNING)), self.stop_requests.get(run.id))
            for run in turn
        ]

    def _running(self) -> int:
        return sum(run.status is GenerationStatus.RUNNING for run in self.runs.values())

    def _started(self, run: Generation) -> Generation:
        if not run.delivered:
            run = replace(run, last_seq=run.last_seq + 1)
            self.entries[run.id].append(GenerationStarted(run.last_seq, NOW, run.id, run.attempt, run.model_key))
        self.runs[run.id] = run
        return run

    async def know(self, models: Sequence[ModelKey]) -> None:
        self.known.update(models)

    async def forsaken(self, unseen: timedelta, limit: int) -> list[Generation]:
        waiting = [run for run in self.runs.values() if run.status is GenerationStatus.QUEUED]
        return [run for run in waiting if run.model_key not in self.known][:limit]

    async def generations(self, owner: UserId, ids: Sequence[GenerationId]) -> dict[GenerationId, Generation]:
        return {key: self.runs[key] for key in ids if key in self.runs and self.runs[key].owner_id == owner}

    async def compact(self, older_than: timedelta, limit: int) -> int:
        return 0

    async def handed_over(self, models: Sequence[ModelKey], within: timedelta, limit: int) -> list[Generation]:
        return []

    async def let_be(self, generation_id: GenerationId) -> None:
        return None

    async def unfinished(self, owner: UserId, limit: int) -> list[Generation]:
        return [run for run in self.runs.values() if run.ended_at is None and run.owner_id == owner][:limit]

    def _append(self, append: Append) -> Appended:
        run = self.runs[append.generation_id]
        if run.attempt == append.attempt and run.last_seq == append.previous and run.ended_at is None:
            for seq, new in enumerate(append.entries, append.previous + 1):
                self.entries[run.id].append(stored(new, seq, NOW, run.id))
            shown = any(isinstance(new, NewText) for new in append.entries)
            first = run.first_token_at or (NOW if shown else None)
            run = self.runs[run.id] = replace(run, last_seq=append.last, first_token_at=first)
            return Appended(run.attempt, run.last_seq, False, self.stop_requests.get(run.id), NOW)
        return Appended(run.attempt, run.last_seq, run.ended_at is not None, self.stop_requests.get(run.id))

    def _read(self, want: Want) -> Slice:
        run = self.runs[want.generation_id]
        found = [entry for entry in self.entries[run.id] if entry.seq > want.after][: want.limit]
        return Slice(tuple(found), run.last_seq, run.ended_at is not None, self.kept_after)

    def _fails(self) -> bool:
        self.outages, failing = max(self.outages - 1, 0), self.outages > 0
        return failing


class FakeChecker:
    """Finds `bad` texts at fault, as they are in all."""

    def __init__(self, *bad: str) -> None:
        self.bad, self.asked = bad, list[str]()

    async def schema_problem(self, schema: str) -> SchemaProblem | None:
        return None

    async def answer_problem(self, text: str, form: ResponseFormat) -> str | None:
        await asyncio.sleep(0)
        self.asked.append(text)
        return f"{text} is bad" if text in self.bad else None


DONE = AnswerEnd(ModelFinishReason.STOP, None)
Step = Piece | ModelFailure | Callable[[], object] | asyncio.Event | Exception


class FakeModel:
    """Each try plays the next script: pieces are said, failures raised, events waited for, callables called."""

    def __init__(self, *scripts: Iterable[Step]) -> None:
        self._scripts, self.tries, self.closed = list(scripts), 0, 0

    async def answer(self, request: ModelRequest) -> AsyncGenerator[Piece, None]:
        script = list(self._scripts[min(self.tries, len(self._scripts) - 1)])
        self.tries += 1
        try:
            for step in script:
                await asyncio.sleep(0)
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif callable(step):
                    step()
                else:
                    yield step
        finally:
            self.closed += 1

    def body(self, request: ModelRequest) -> bytes:
        return repr(request).encode()

    async def prompt_tokens(self, name_at_provider: str, turns: Sequence[Turn]) -> int | None:
        return None

    async def health(self) -> ModelHealth:
        return ModelHealth.UP


class OneServer:
    def __init__(self, server: LanguageModel) -> None:
        self._server = server

    def __getitem__(self, provider: str) -> LanguageModel:
        return self._server


class ManyServers:
    def __init__(self, **servers: LanguageModel) -> None:
        self._servers = servers

    def __getitem__(self, provider: str) -> LanguageModel:
        return self._servers[provider]


class SameOrder:
    """Prepares the request of every run alike; `gone`: there is nothing left to answer."""

    def __init__(self, models: Models, *, kept: str = "", gone: bool = False, too_large: bool = False) -> None:
        self._models, self._kept, self._gone, self._too_large = models, kept, gone, too_large

    async def order(self, generation: Generation, model: Model | None = None) -> Order | None:
        if self._too_large:
            raise ContextTooLarge(required_tokens=2, limit_tokens=1)
        if self._gone:
            return None
        return replace(
            an_order(generation), model=model or self._models.recorded(generation.model_key), kept=self._kept
        )

    async def kept(self, generation: Generation) -> str:
        return self._kept


def words(*texts: str) -> list[TextPiece]:
    return [TextPiece(text) for text in texts]


class FakeReplies:
    """The reply of each run of a log; the other reads are not there and must not be asked."""

    def __init__(self, log: FakeLog) -> None:
        self._log = log

    async def messages(self, owner: UserId, ids: Sequence[MessageId]) -> dict[MessageId, Message]:
        return {run.reply_id: self._reply(run) for run in self._log.runs.values() if run.reply_id in ids}

    def _reply(self, run: Generation) -> Message:
        place = Place(BranchId(UUID(int=1)), MessageId(UUID(int=4)), 1, 2, 1)
        return Message(
            run.reply_id,
            run.conversation_id,
            run.owner_id,
            place,
            MessageRole.ASSISTANT,
            run.status.of_reply(),
            text_of(self._log.entries[run.id]),
            NOW,
            completed_at=run.ended_at,
            generation_id=run.id,
            text_through_seq=run.last_seq,
        )
