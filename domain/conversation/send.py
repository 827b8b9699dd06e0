"""How a reply is started: everything is checked before anything is written, and all of it is written at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from domain.conversation.commands import BusyPolicy, NewConversation, RegenerateReply, SendMessage
from domain.conversation.entity import Conversation
from domain.conversation.once import Moved, Once, Sent, Written, memo, new_run
from domain.conversation.rules import Problems, check_output
from domain.conversation.service import opened
from domain.conversation.store import ConversationStore, Draft, NewRun, Standing, Tree, Writing
from domain.conversation.wishes import Starting, Wish, Wishes
from domain.errors import ConversationBusy, NotFound, Refusal, StaleBranch
from domain.generation.entity import (
    FinishReason,
    Generation,
    GenerationStatus,
    GenerationTrigger,
    Notice,
)
from domain.generation.log import GenerationSnapshot, LogEntry, StopRequest
from domain.generation.prepare import Order
from domain.generation.runs import Runs
from domain.generation.window import Window, Windows
from domain.message import MessageRole, MessageStatus, MessageStore
from domain.model import Model, Models, Usage, UsageSource
from domain.user import Viewer
from domain.window.policy import USUAL, ContextPolicy
from domain.window.report import ContextReport
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
    """A wish that passed its checks: nothing is written yet."""

    command: Starting
    wish: Wish
    beside: Beside | None
    model: Model
    window: Window
    received_at: datetime

    @property
    def parent(self) -> MessageId | None:
        return self.beside.parent if self.beside else self.wish.parent

    @property
    def answers(self) -> MessageId | None:
        """What the first new message is a reply to."""
        return self.wish.asked.id if self.wish.asked else self.parent


@dataclass(frozen=True, slots=True)
class Preview:
    """What a send would do. `refusal`: the first that it would meet; what was known before it is filled in."""

    refusal: Refusal | None = None
    model: Model | None = None
    window: Window | None = None
    parent: MessageId | None = None
    maximum_cost: Decimal | None = None

    @property
    def notices(self) -> tuple[Notice, ...]:
        return self.window.notices if self.window else ()

    @property
    def context(self) -> ContextReport | None:
        """Ends in the message that would be answered: the new text is none yet."""
        return replace(self.window.report, leaf=self.parent) if self.window else None

    @property
    def estimated_input_tokens(self) -> int | None:
        return self.window.estimated_tokens if self.window else None


class Sends:
    def __init__(
        self,
        conversations: ConversationStore,
        messages: MessageStore,
        wishes: Wishes,
        once: Once,
        *,
        models: Models,
        runs: Runs,
        following: Following,
        windows: Windows,
        world: World,
    ) -> None:
        self._conversations, self._messages, self._wishes, self._once = conversations, messages, wishes, once
        self._models, self._runs, self._following, self._world = models, runs, following, world
        self._windows = windows

    async def send(self, viewer: Viewer, command: Starting) -> Sent:
        """Raises every refusal of the command's result; then nothing was written."""
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

    async def preview(self, viewer: Viewer, command: SendMessage) -> Preview:
        """The same checks in the same order as `send`, and nothing is written. Its key is not looked up."""
        preview = Preview()
        try:
            self._runs.require_open()
            wish, model = await self._wish(viewer, command)
            preview = Preview(model=model)
            plan = await self._fitted(viewer, command, wish, model, None)
            preview = self._previewed(plan)
            return self._previewed(await self._past_busy(viewer, plan))
        except Refusal as refusal:
            return replace(preview, refusal=refusal)

    def _previewed(self, plan: Plan) -> Preview:
        most = Usage(plan.window.estimated_tokens, plan.window.output_tokens, UsageSource.ESTIMATED)
        models = [plan.model, *(model for key in plan.model.fallbacks if (model := self._models.find(key)))]
        return Preview(None, plan.model, plan.window, plan.parent, max(model.cost(most) for model in models))

    async def _past_busy(self, viewer: Viewer, plan: Plan) -> Plan:
        """The plan that would be carried out. Raises ConversationBusy."""
        if plan.wish.conversation is None:
            return plan
        try:
            _ahead(plan, await self._conversations.look(plan.wish.conversation, plan.answers))
        except ConversationBusy as busy:
            match plan.command.on_busy:
                case BusyPolicy.INTERRUPT:
                    return plan
                case BusyPolicy.BRANCH:
                    return await self._plan(viewer, plan.command, await self._beside(viewer, busy))
                case _:
                    raise
        return plan

    async def _plan(self, viewer: Viewer, command: Starting, beside: Beside | None) -> Plan:
        wish, model = await self._wish(viewer, command)
        return await self._fitted(viewer, command, wish, model, beside)

    async def _wish(self, viewer: Viewer, command: Starting) -> tuple[Wish, Model]:
        """Raises what can be known before the window is assembled."""
        wish = await self._wishes.of(viewer, command)
        model = self._models.chosen(wish.settings.model)
        problems = Problems()
        check_output(problems, command.settings, model, ("settings",))
        problems.refuse()
        return wish, model

    async def _fitted(self, viewer: Viewer, command: Starting, wish: Wish, model: Model, beside: Beside | None) -> Plan:
        """Raises ContextTooLarge."""
        received_at, parent = self._world.now(), beside.parent if beside else wish.parent
        window = await self._windows.assemble(
            viewer.id, parent, wish.text, model, wish.settings, policy=_policy(command, wish)
        )
        return Plan(command, wish, beside, model, window, received_at)

    async def _make_way(self, viewer: Viewer, command: Starting, busy: ConversationBusy) -> Beside | None:
        """Raises `busy` again where the policy does not help."""
        match command.on_busy:
            case BusyPolicy.INTERRUPT:
                await self._interrupt(viewer, busy)
                return None
            # What is answered once more has its place already.
            case BusyPolicy.BRANCH if not isinstance(command, RegenerateReply):
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
        conversation = plan.wish.conversation or opened(viewer.id, _new(plan.command), self._world)
        said, reply = self._said(plan), self._reply(plan)
        asked_id = said.id if said else plan.answers
        assert asked_id is not None, "what is not said now stands there"
        done = memo(viewer, plan.command, conversation.id, asked_id, reply)
        async with self._conversations.writing(done) as writing:
            tree = await _tree(writing, viewer, plan, conversation)
            return await self._grow(tree, plan, said, reply)

    async def _grow(self, tree: Tree, plan: Plan, said: Draft | None, reply: Draft) -> Written:
        standing = await _standing(tree, plan)
        asked_id = said.id if said else plan.answers
        assert asked_id is not None, "what is not said now stands there"
        ahead = _ahead(plan, standing)
        run = new_run(
            reply,
            tree.conversation,
            plan.model,
            plan.wish.settings,
            plan.window,
            asked=asked_id,
            trigger=plan.wish.trigger,
            queued=ahead is not None or self._runs.has_line(plan.model),
            waits_for=ahead.id if ahead else None,
        )
        if run.status is GenerationStatus.RUNNING and not plan.window.settled:
            # A reply in it has ended since it was read, and says more now.
            raise Moved
        reply = replace(reply, status=run.status.of_reply())
        node = self._runs.node
        drafts = [said, reply] if said else [reply]
        grown = await tree.grow(drafts, standing.message, NewRun(run, node.id, node.lease))
        asked = grown.messages[0] if said else standing.message
        assert asked is not None, "a reply answers something"
        sent = Sent(grown.conversation, asked, grown.messages[-1], run, replayed=False)
        if run.status is GenerationStatus.QUEUED:
            return Written(sent, None)
        return Written(sent, Order(run, plan.model, plan.window.request))

    def _said(self, plan: Plan) -> Draft | None:
        """What the user says; None: it stands there already."""
        command, received_at = plan.command, plan.received_at
        if isinstance(command, RegenerateReply):
            return None
        return Draft(
            MessageId(self._world.new_id()),
            MessageRole.USER,
            MessageStatus.COMPLETE,
            command.text,
            received_at,
            sent_at=min(command.sent_at, received_at + CLOCK_TOLERANCE) if command.sent_at else None,
            idempotency_key=command.idempotency_key,
            tokens=plan.window.said,
        )

    def _reply(self, plan: Plan) -> Draft:
        """With the id of the run that will write it."""
        reply_id, run_id = MessageId(self._world.new_id()), GenerationId(self._world.new_id())
        pending = MessageStatus.PENDING
        return Draft(reply_id, MessageRole.ASSISTANT, pending, "", plan.received_at, generation_id=run_id)


# How the input calls what is in the conversation.
_NAMES = {
    GenerationTrigger.SEND: "conversation",
    GenerationTrigger.EDIT: "message",
    GenerationTrigger.REGENERATE: "reply",
}


async def _tree(writing: Writing, viewer: Viewer, plan: Plan, conversation: Conversation) -> Tree:
    if plan.wish.conversation is None:
        return await writing.open(conversation)
    tree = await writing.lock(viewer.id, conversation.id)
    if tree is None:
        raise NotFound("input", _NAMES[plan.wish.trigger])
    tree.conversation.require_open()
    return tree


async def _standing(tree: Tree, plan: Plan) -> Standing:
    """Of the message that is answered, looked at again under the lock. Raises StaleBranch, Moved."""
    command, leaf_id = plan.command, tree.conversation.active_leaf_id
    expected = command.expected_leaf if isinstance(command, SendMessage) else None
    if expected is not None and expected != leaf_id:
        raise StaleBranch((await tree.look(leaf_id)).message)
    if plan.wish.follows and plan.beside is None and plan.parent != leaf_id:
        raise Moved
    return await tree.look(plan.answers)


def _ahead(plan: Plan, standing: Standing) -> Generation | None:
    """The run that this one has to wait for. Raises ConversationBusy."""
    busy = standing.unfinished
    if busy is None:
        return None
    if plan.command.on_busy is not BusyPolicy.ENQUEUE or standing.waiting >= MOST_WAITING:
        raise ConversationBusy(busy)
    return busy


def _policy(command: Starting, wish: Wish) -> ContextPolicy:
    if wish.conversation is not None:
        return wish.conversation.context_policy
    return _new(command).context_policy.applied_to(USUAL)


def _new(command: Starting) -> NewConversation:
    return (command.new_conversation if isinstance(command, SendMessage) else None) or NewConversation()
