"""A send: everything is checked before anything is written, and all of it is written at once."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from domain.conversation.commands import NewConversation, SendMessage, fingerprint
from domain.conversation.entity import Conversation
from domain.conversation.rules import LIMITS, Problems, check_settings
from domain.conversation.service import check_new, opened, recall
from domain.conversation.store import ConversationStore, Draft, Remembered, Tree, Writing
from domain.errors import ConversationBusy, InputRule, NotFound, StaleBranch
from domain.generation.entity import Generation, GenerationSettings, GenerationStatus, GenerationTrigger
from domain.generation.log import GenerationStore
from domain.generation.run import Order
from domain.generation.runs import Runs
from domain.generation.window import Window, Windows
from domain.message import Message, MessageRole, MessageStatus, MessageStore
from domain.model import Model, Models
from domain.user import Viewer
from domain.world import ConversationId, GenerationId, MessageId, World

T = TypeVar("T")

CLOCK_TOLERANCE = timedelta(minutes=5)


class Moved(Exception):
    """Another send has moved the active leaf since the plan was made: plan again."""


@dataclass(frozen=True, slots=True)
class Sent:
    conversation: Conversation
    user_message: Message
    reply: Message
    generation: Generation
    replayed: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A send that passed its checks: nothing is written yet."""

    command: SendMessage
    conversation: Conversation | None
    parent: MessageId | None
    model: Model
    settings: GenerationSettings
    window: Window
    received_at: datetime


class Sends:
    def __init__(
        self,
        conversations: ConversationStore,
        messages: MessageStore,
        generations: GenerationStore,
        *,
        models: Models,
        runs: Runs,
        world: World,
    ) -> None:
        self._conversations, self._messages, self._generations = conversations, messages, generations
        self._models, self._runs, self._world = models, runs, world
        self._windows = Windows(messages)

    async def send(self, viewer: Viewer, command: SendMessage) -> Sent:
        """Raises every refusal of SendMessageResult; then nothing was written."""
        while True:
            if done := await recall(self._conversations, viewer, command.idempotency_key, fingerprint(command)):
                return await self._replay(viewer, done)
            self._runs.require_open()
            plan = await self._plan(viewer, command)
            with suppress(Moved):
                if sent := await uninterrupted(self._write_and_start(viewer, plan)):
                    return sent

    async def _plan(self, viewer: Viewer, command: SendMessage) -> Plan:
        received_at = self._world.now()
        conversation = await self._conversation(viewer, command)
        await self._require_parent(viewer, command)
        self._check(command)
        parent = command.parent or (conversation.active_leaf_id if conversation else None)
        base = conversation.settings if conversation else _new_settings(command)
        settings = command.settings.over(base)
        model = self._model(settings)
        window = await self._windows.assemble(viewer.id, parent, command.text, model, settings)
        return Plan(command, conversation, parent, model, settings, window, received_at)

    async def _conversation(self, viewer: Viewer, command: SendMessage) -> Conversation | None:
        if command.conversation is None:
            return None
        found = await self._conversations.conversations(viewer.id, [command.conversation])
        if command.conversation not in found:
            raise NotFound("input", "conversation")
        return found[command.conversation]

    async def _require_parent(self, viewer: Viewer, command: SendMessage) -> None:
        """Parents are for ever, so this needs no second look under the lock."""
        if command.parent is None or command.conversation is None:
            return
        found = await self._messages.messages(viewer.id, [command.parent])
        if command.parent not in found or found[command.parent].conversation_id != command.conversation:
            raise NotFound("input", "parent")

    def _check(self, command: SendMessage) -> None:
        problems = Problems()
        problems.key(command.idempotency_key)
        problems.text(command.text, ("text",), LIMITS.text_length)
        _check_fields_agree(problems, command)
        check_settings(problems, command.settings, self._models, ("settings",))
        if command.new_conversation is not None:
            check_new(problems, command.new_conversation, self._models, ("newConversation",))
        problems.refuse()

    def _model(self, settings: GenerationSettings) -> Model:
        model = self._models.recorded(settings.model) if settings.model else self._models.default
        if model is None:
            raise NotFound("input", "settings", "model")
        return self._models.require_offered(model)

    async def _write_and_start(self, viewer: Viewer, plan: Plan) -> Sent | None:
        sent = await self._write(viewer, plan)
        if sent is not None:
            self._runs.start(Order(sent.generation, plan.model, plan.window.request(plan.model, plan.settings)))
        return sent

    async def _write(self, viewer: Viewer, plan: Plan) -> Sent | None:
        """One transaction, one commit. None: the key was taken meanwhile."""
        conversation = plan.conversation or opened(
            viewer.id, plan.command.new_conversation or NewConversation(), self._world
        )
        drafts = self._drafts(plan)
        done = Remembered(fingerprint(plan.command), _answered_ids(conversation, *drafts))
        async with self._conversations.writing() as writing:
            if not await writing.remember(viewer.id, plan.command.idempotency_key, done):
                return None
            tree = await _tree(writing, viewer, plan, conversation)
            return await self._grow(tree, plan, drafts)

    async def _grow(self, tree: Tree, plan: Plan, drafts: tuple[Draft, Draft]) -> Sent:
        parent = await _parent(tree, plan)
        user_message, reply = await tree.add(drafts, parent)
        generation = await tree.begin(_generation(plan, reply), self._runs.node.id, self._runs.node.lease)
        conversation = await tree.activate(reply, plan.received_at)
        return Sent(conversation, user_message, reply, generation, replayed=False)

    def _drafts(self, plan: Plan) -> tuple[Draft, Draft]:
        """The user's message and the reply to it, which its generation will write."""
        command, received_at = plan.command, plan.received_at
        sent_at = min(command.sent_at, received_at + CLOCK_TOLERANCE) if command.sent_at else None
        said = Draft(
            MessageId(self._world.new_id()),
            MessageRole.USER,
            MessageStatus.COMPLETE,
            command.text,
            received_at,
            sent_at=sent_at,
            idempotency_key=command.idempotency_key,
        )
        reply_id, generation_id = MessageId(self._world.new_id()), GenerationId(self._world.new_id())
        streaming = MessageStatus.STREAMING
        return said, Draft(reply_id, MessageRole.ASSISTANT, streaming, "", received_at, generation_id=generation_id)

    async def _replay(self, viewer: Viewer, done: Remembered) -> Sent:
        """The entities as they are now. Raises NotFound when they were deleted since."""
        conversation_id = ConversationId(done.ids["conversation"])
        said_id, reply_id = MessageId(done.ids["userMessage"]), MessageId(done.ids["reply"])
        generation_id = GenerationId(done.ids["generation"])
        conversations = await self._conversations.conversations(viewer.id, [conversation_id])
        messages = await self._messages.messages(viewer.id, [said_id, reply_id])
        generations = await self._generations.generations(viewer.id, [generation_id])
        if conversation_id not in conversations:
            raise NotFound("input", "idempotencyKey")
        return Sent(
            conversations[conversation_id],
            messages[said_id],
            messages[reply_id],
            generations[generation_id],
            replayed=True,
        )


async def uninterrupted(work: Coroutine[None, None, T]) -> T:
    """A client that leaves between the commit and the start must not leave a run behind that nobody plays."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _tree(writing: Writing, viewer: Viewer, plan: Plan, conversation: Conversation) -> Tree:
    if plan.conversation is None:
        return await writing.open(conversation)
    tree = await writing.lock(viewer.id, conversation.id)
    if tree is None:
        raise NotFound("input", "conversation")
    return tree


async def _parent(tree: Tree, plan: Plan) -> Message | None:
    """The message that is answered, looked at again under the lock. Raises StaleBranch, ConversationBusy, Moved."""
    command, leaf_id = plan.command, tree.conversation.active_leaf_id
    if command.expected_leaf is not None and command.expected_leaf != leaf_id:
        raise StaleBranch(await tree.message(leaf_id) if leaf_id else None)
    if command.parent is None and plan.parent != leaf_id:
        raise Moved
    parent = await tree.message(plan.parent) if plan.parent else None
    if parent is not None and (active := await tree.unfinished_above(parent)):
        raise ConversationBusy(active)
    return parent


def _answered_ids(conversation: Conversation, said: Draft, reply: Draft) -> dict[str, UUID]:
    assert reply.generation_id is not None
    return {
        "conversation": conversation.id,
        "userMessage": said.id,
        "reply": reply.id,
        "generation": reply.generation_id,
    }


def _generation(plan: Plan, reply: Message) -> Generation:
    assert reply.generation_id is not None
    return Generation(
        id=reply.generation_id,
        conversation_id=reply.conversation_id,
        owner_id=reply.owner_id,
        reply_id=reply.id,
        trigger=GenerationTrigger.SEND,
        status=GenerationStatus.RUNNING,
        model_key=plan.model.key,
        requested_model_key=plan.model.key,
        settings=replace(plan.settings, model=plan.model.key, max_output_tokens=plan.window.output_tokens),
        estimated_input_tokens=plan.window.estimated_tokens,
        queued_at=plan.received_at,
        started_at=plan.received_at,
    )


def _new_settings(command: SendMessage) -> GenerationSettings:
    return command.new_conversation.settings if command.new_conversation else GenerationSettings()


def _check_fields_agree(problems: Problems, command: SendMessage) -> None:
    if command.conversation is not None and command.new_conversation is not None:
        message = "Give `conversation` to go on, or `newConversation` to start one."
        problems.add(InputRule.CONFLICTING_FIELDS, ("newConversation",), message)
    if command.parent is not None and command.expected_leaf is not None:
        message = "`expectedLeaf` guards the active leaf: leave it out when you name the `parent`."
        problems.add(InputRule.CONFLICTING_FIELDS, ("expectedLeaf",), message)
    if command.conversation is None and command.parent is not None:
        problems.add(InputRule.CONFLICTING_FIELDS, ("parent",), "A new conversation has no message to answer.")
    if command.conversation is None and command.expected_leaf is not None:
        problems.add(InputRule.CONFLICTING_FIELDS, ("expectedLeaf",), "A new conversation has no leaf yet.")
