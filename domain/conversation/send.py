"""A send: everything is checked before anything is written, and all of it is written at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from domain.access import Access
from domain.conversation.commands import BusyPolicy, NewConversation, SendMessage
from domain.conversation.entity import Conversation
from domain.conversation.once import Moved, Once, Sent, Written, memo, new_run
from domain.conversation.rules import LIMITS, Problems, check_output, check_settings
from domain.conversation.service import check_new, opened
from domain.conversation.store import ConversationStore, Draft, NewRun, Standing, Tree, Writing
from domain.errors import ConversationBusy, InputRule, NotFound, StaleBranch
from domain.generation.entity import (
    FinishReason,
    Generation,
    GenerationSettings,
    GenerationStatus,
    GenerationTrigger,
)
from domain.generation.log import GenerationSnapshot, LogEntry, StopRequest
from domain.generation.prepare import Order
from domain.generation.runs import Runs
from domain.generation.window import Window, Windows
from domain.message import MessageRole, MessageStatus, MessageStore
from domain.model import Model, Models
from domain.user import Viewer
from domain.world import GenerationId, MessageId, World

CLOCK_TOLERANCE = timedelta(minutes=5)
LONGEST_INTERRUPTION = timedelta(seconds=5)
MOST_WAITING = 5


class Following(Protocol):
    def follow(
        self, viewer: Viewer, generation_id: GenerationId, after: int
    ) -> AsyncGenerator[LogEntry | GenerationSnapshot, None]: ...


@dataclass(frozen=True, slots=True)
class Beside:
    """BRANCH: the new message stands below `parent`, beside the one that is being answered."""

    parent: MessageId | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A send that passed its checks: nothing is written yet."""

    command: SendMessage
    conversation: Conversation | None
    parent: MessageId | None
    beside: Beside | None
    model: Model
    settings: GenerationSettings
    window: Window
    received_at: datetime


class Sends:
    def __init__(
        self,
        conversations: ConversationStore,
        messages: MessageStore,
        once: Once,
        *,
        models: Models,
        access: Access,
        runs: Runs,
        following: Following,
        world: World,
    ) -> None:
        self._conversations, self._messages, self._once = conversations, messages, once
        self._models, self._access = models, access
        self._runs, self._following, self._world = runs, following, world
        self._windows = Windows(messages)

    async def send(self, viewer: Viewer, command: SendMessage) -> Sent:
        """Raises every refusal of SendMessageResult; then nothing was written."""
        beside: Beside | None = None

        async def attempt() -> Written:
            nonlocal beside
            plan = await self._plan(viewer, command, beside)
            try:
                return await self._once.write_and_start(self._write(viewer, plan))
            except ConversationBusy as busy:
                beside = await self._make_way(viewer, command, busy)
                raise Moved from busy

        return await self._once.do(viewer, command, attempt)

    async def _plan(self, viewer: Viewer, command: SendMessage, beside: Beside | None) -> Plan:
        received_at = self._world.now()
        conversation = await self._conversation(viewer, command)
        await self._require_parent(viewer, command)
        self._check(command)
        leaf = command.parent or (conversation.active_leaf_id if conversation else None)
        parent = beside.parent if beside else leaf
        settings = command.settings.over(conversation.settings if conversation else _new_settings(command))
        model = self._access.chosen(viewer, settings.model)
        problems = Problems()
        check_output(problems, command.settings, model, ("settings",))
        problems.refuse()
        window = await self._windows.assemble(viewer.id, parent, command.text, model, settings)
        return Plan(command, conversation, parent, beside, model, settings, window, received_at)

    async def _conversation(self, viewer: Viewer, command: SendMessage) -> Conversation | None:
        if command.conversation is None:
            return None
        found = await self._conversations.conversations(viewer.id, [command.conversation])
        if command.conversation not in found:
            raise NotFound("input", "conversation")
        found[command.conversation].require_open()
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

    async def _make_way(self, viewer: Viewer, command: SendMessage, busy: ConversationBusy) -> Beside | None:
        """Raises `busy` again where the policy does not help."""
        match command.on_busy:
            case BusyPolicy.INTERRUPT:
                await self._interrupt(viewer, busy)
                return None
            case BusyPolicy.BRANCH:
                return await self._beside(viewer, busy)
            case _:
                raise busy

    async def _interrupt(self, viewer: Viewer, busy: ConversationBusy) -> None:
        run = busy.active_generation
        await self._runs.stop(viewer, run.id, StopRequest(None, FinishReason.INTERRUPT))
        try:
            async with asyncio.timeout(LONGEST_INTERRUPTION.total_seconds()):
                async with aclosing(self._following.follow(viewer, run.id, run.last_seq)) as rest:
                    async for _ in rest:
                        continue
        except TimeoutError:
            raise busy from None

    async def _beside(self, viewer: Viewer, busy: ConversationBusy) -> Beside:
        replies = await self._messages.messages(viewer.id, [busy.active_generation.reply_id])
        asked_id = next((reply.parent_id for reply in replies.values()), None)
        asked = (await self._messages.messages(viewer.id, [asked_id])).get(asked_id) if asked_id else None
        return Beside(asked.parent_id if asked else None)

    async def _write(self, viewer: Viewer, plan: Plan) -> Written:
        """One transaction, one commit. Raises KeyTaken, Moved."""
        conversation = plan.conversation or opened(
            viewer.id, plan.command.new_conversation or NewConversation(), self._world
        )
        said, reply = self._drafts(plan)
        done = memo(viewer, plan.command, conversation.id, said.id, reply)
        async with self._conversations.writing(done) as writing:
            tree = await _tree(writing, viewer, plan, conversation)
            return await self._grow(tree, plan, said, reply)

    async def _grow(self, tree: Tree, plan: Plan, said: Draft, reply: Draft) -> Written:
        standing = await _standing(tree, plan)
        ahead = _ahead(plan, standing)
        run = new_run(
            reply,
            tree.conversation,
            plan.model,
            plan.settings,
            plan.window,
            trigger=GenerationTrigger.SEND,
            queued=ahead is not None or self._runs.has_line(plan.model),
            waits_for=ahead.id if ahead else None,
        )
        reply = replace(reply, status=run.status.of_reply())
        node = self._runs.node
        grown = await tree.grow([said, reply], standing.message, NewRun(run, node.id, node.lease))
        user_message, answer = grown.messages
        sent = Sent(grown.conversation, user_message, answer, run, replayed=False)
        if run.status is GenerationStatus.QUEUED:
            return Written(sent, None)
        return Written(sent, Order(run, plan.model, plan.window.request(plan.model, plan.settings)))

    def _drafts(self, plan: Plan) -> tuple[Draft, Draft]:
        """The user's message, and the reply to it with the id of the run that will write it."""
        command, received_at = plan.command, plan.received_at
        said_id, reply_id = MessageId(self._world.new_id()), MessageId(self._world.new_id())
        said = Draft(
            said_id,
            MessageRole.USER,
            MessageStatus.COMPLETE,
            command.text,
            received_at,
            sent_at=min(command.sent_at, received_at + CLOCK_TOLERANCE) if command.sent_at else None,
            idempotency_key=command.idempotency_key,
        )
        run_id, pending = GenerationId(self._world.new_id()), MessageStatus.PENDING
        return said, Draft(reply_id, MessageRole.ASSISTANT, pending, "", received_at, generation_id=run_id)


async def _tree(writing: Writing, viewer: Viewer, plan: Plan, conversation: Conversation) -> Tree:
    if plan.conversation is None:
        return await writing.open(conversation)
    tree = await writing.lock(viewer.id, conversation.id)
    if tree is None:
        raise NotFound("input", "conversation")
    tree.conversation.require_open()
    return tree


async def _standing(tree: Tree, plan: Plan) -> Standing:
    """Of the message that is answered, looked at again under the lock. Raises StaleBranch, Moved."""
    command, leaf_id = plan.command, tree.conversation.active_leaf_id
    if command.expected_leaf is not None and command.expected_leaf != leaf_id:
        raise StaleBranch((await tree.look(leaf_id)).message)
    if command.parent is None and plan.beside is None and plan.parent != leaf_id:
        raise Moved
    return await tree.look(plan.parent)


def _ahead(plan: Plan, standing: Standing) -> Generation | None:
    """The run that this one has to wait for. Raises ConversationBusy."""
    busy = standing.unfinished
    if busy is None:
        return None
    if plan.command.on_busy is not BusyPolicy.ENQUEUE or standing.waiting >= MOST_WAITING:
        raise ConversationBusy(busy)
    return busy


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
