"""A reply that is started once, however often its mutation is repeated; and what all ways to start one share."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import TypeVar

from domain.conversation.commands import Command, fingerprint
from domain.conversation.entity import Conversation
from domain.conversation.service import made_and_deleted, recall
from domain.conversation.store import ConversationStore, Draft, KeyTaken, Memo, Remembered
from domain.errors import Refusal, TooManyGenerations
from domain.generation.entity import (
    Generation,
    GenerationSettings,
    GenerationStatus,
    GenerationTrigger,
    Notice,
    NoticeCode,
)
from domain.generation.log import GenerationStore
from domain.generation.prepare import Order
from domain.generation.runs import Runs
from domain.generation.wakes import Wakes
from domain.generation.window import Window
from domain.job import JOBS
from domain.message import Message, MessageStore
from domain.model import Model
from domain.quota.admission import Admitted, Crowded
from domain.quota.counter import Quota, amount
from domain.text import units
from domain.user import Viewer
from domain.world import ConversationId, GenerationId, MessageId

T = TypeVar("T")

MOST_SHOWN = 20


class Moved(Exception):
    """The tree has moved since the plan was made: plan again."""


@dataclass(frozen=True, slots=True)
class Sent:
    """`user_message`: what is answered."""

    conversation: Conversation
    user_message: Message
    reply: Message
    generation: Generation
    replayed: bool

    @property
    def notices(self) -> tuple[Notice, ...]:
        return self.generation.notices


@dataclass(frozen=True, slots=True)
class Written:
    """`order` None: the run is queued. `left_job`: there is a job to do."""

    sent: Sent
    order: Order | None
    left_job: bool = False


class Once:
    def __init__(
        self,
        conversations: ConversationStore,
        messages: MessageStore,
        generations: GenerationStore,
        runs: Runs,
        wakes: Wakes,
    ) -> None:
        self._conversations, self._messages, self._generations = conversations, messages, generations
        self._runs, self._wakes = runs, wakes

    async def do(self, viewer: Viewer, command: Command, write: Callable[[], Awaitable[Written]]) -> Sent:
        """`write` checks, plans and writes all of it or nothing. It may raise KeyTaken and Moved: then it is tried again."""
        made_of = fingerprint(command)
        while True:
            try:
                return await self._written(viewer, write)
            except Moved:
                continue
            except (KeyTaken, Refusal) as refused:
                # Before any refusal stands what was done under the key. Where nothing is refused, writing finds it taken.
                if done := await recall(self._conversations, viewer, command.idempotency_key, made_of):
                    return await self._replay(viewer, done)
                if isinstance(refused, Refusal):
                    raise

    async def _written(self, viewer: Viewer, write: Callable[[], Awaitable[Written]]) -> Sent:
        viewer.require_writing()
        self._runs.require_open()
        try:
            return (await write()).sent
        except Crowded as crowded:
            running = await self._generations.unfinished(viewer.id, MOST_SHOWN)
            raise TooManyGenerations(running, active=crowded.active, limit=crowded.limit) from None

    async def write_and_start(self, writing: Coroutine[None, None, Written]) -> Written:
        """A client that leaves between the commit and the start must not leave a run behind that nobody plays."""
        return await _uninterrupted(self._start(writing))

    async def _start(self, writing: Coroutine[None, None, Written]) -> Written:
        written = await writing
        self._wakes.wake([written.sent.conversation.id, written.sent.conversation.owner_id])
        if written.left_job:
            # Here only: one process is enough to do it, and the others look now and then.
            self._wakes.hear([JOBS])
        if written.order is not None:
            self._runs.start(written.order)
        else:
            self._runs.call_next()
        return written

    async def _replay(self, viewer: Viewer, done: Remembered) -> Sent:
        """The entities as they are now. Raises NotFound when they were deleted since."""
        conversation_id = ConversationId(done.ids["conversation"])
        said_id, reply_id = MessageId(done.ids["userMessage"]), MessageId(done.ids["reply"])
        generation_id = GenerationId(done.ids["generation"])
        conversations = await self._conversations.conversations(viewer.id, [conversation_id])
        messages = await self._messages.messages(viewer.id, [said_id, reply_id])
        generations = await self._generations.generations(viewer.id, [generation_id])
        if not (conversation_id in conversations and reply_id in messages and generation_id in generations):
            raise made_and_deleted()
        return Sent(
            conversations[conversation_id],
            messages[said_id],
            messages[reply_id],
            generations[generation_id],
            replayed=True,
        )


def memo(viewer: Viewer, command: Command, conversation_id: ConversationId, said: MessageId, reply: Draft) -> Memo:
    assert reply.generation_id is not None
    ids = {"conversation": conversation_id, "userMessage": said, "reply": reply.id, "generation": reply.generation_id}
    return Memo(viewer.id, command.idempotency_key, Remembered(fingerprint(command), dict(ids)))


def new_run(
    reply: Draft,
    conversation: Conversation,
    model: Model,
    settings: GenerationSettings,
    window: Window,
    *,
    asked: MessageId,
    admitted: Admitted,
    trigger: GenerationTrigger,
    queued: bool,
    waits_for: GenerationId | None = None,
    instruction: str | None = None,
) -> Generation:
    """The run that will write `reply`, after the text that stands there."""
    assert reply.generation_id is not None
    return Generation(
        id=reply.generation_id,
        conversation_id=conversation.id,
        owner_id=conversation.owner_id,
        reply_id=reply.id,
        trigger=trigger,
        status=GenerationStatus.QUEUED if queued else GenerationStatus.RUNNING,
        model_key=model.key,
        requested_model_key=model.key,
        settings=replace(settings, model=model.key, max_output_tokens=window.output_tokens),
        estimated_input_tokens=window.estimated_tokens,
        queued_at=reply.received_at,
        started_at=None if queued else reply.received_at,
        waits_for=waits_for,
        text_offset=units(reply.text),
        last_seq=0 if queued else 1,
        instruction=instruction,
        # Of a run that waits it is assembled again when its turn comes.
        context=None if queued else window.answering(asked),
        notices=(*map(told, admitted.crossed), *(() if queued else window.notices)),
        api_key_id=admitted.payer.key_id,
        reserved=admitted.claim.cost,
        reserved_tokens=admitted.claim.tokens,
        prices=admitted.claim.prices,
    )


def told(crossed: Quota) -> Notice:
    words = f"You are past {amount(crossed.soft_limit)} {crossed.metric.value} for this {crossed.window.value}."
    return Notice(NoticeCode.SOFT_LIMIT, words, crossed.id)


async def _uninterrupted(work: Coroutine[None, None, T]) -> T:
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
