"""How a reply is started: everything is checked before anything is written, and all of it is written at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from domain.conversation.commands import BusyPolicy, RegenerateReply, SendMessage
from domain.conversation.entity import Conversation
from domain.conversation.once import Moved, Once, Sent, Written, memo, new_run
from domain.conversation.plan import Beside, Plan, Plans, new_conversation
from domain.conversation.store import ConversationStore, Draft, Grown, NewRun, Standing, Tree, Writing
from domain.conversation.wishes import Starting
from domain.errors import ConversationBusy, NotFound, QuotaExceeded, StaleBranch
from domain.generation.entity import FinishReason, Generation, GenerationStatus, GenerationTrigger
from domain.generation.log import GenerationSnapshot, LogEntry, StopRequest
from domain.generation.prepare import Order
from domain.generation.runs import Runs
from domain.message import Message, MessageRole, MessageStatus
from domain.quota.admission import Admission, Admitted, Crowded
from domain.user import Viewer
from domain.world import GenerationId, MessageId, World

CLOCK_TOLERANCE = timedelta(minutes=5)
LONGEST_INTERRUPTION = timedelta(seconds=5)


class Following(Protocol):
    def follow(
        self, viewer: Viewer, generation_id: GenerationId, after: int
    ) -> AsyncGenerator[LogEntry | GenerationSnapshot, None]: ...


class Writers(Protocol):
    async def writing(self, viewer: Viewer, leaf: MessageId) -> Generation | None:
        """The run that writes the path down to `leaf`."""


class Sends:
    def __init__(
        self,
        conversations: ConversationStore,
        plans: Plans,
        once: Once,
        *,
        admission: Admission,
        runs: Runs,
        following: Following,
        writers: Writers,
        world: World,
    ) -> None:
        self._conversations, self._plans, self._once = conversations, plans, once
        self._admission, self._writers = admission, writers
        self._runs, self._following, self._world = runs, following, world

    async def send(self, viewer: Viewer, command: Starting) -> Sent:
        """Raises every refusal of the command's result; then nothing was written."""
        beside: Beside | None = None

        async def attempt() -> Written:
            nonlocal beside
            plan = await self._plans.of(viewer, command, beside)
            try:
                return await self._once.write_and_start(self._write(viewer, plan))
            except ConversationBusy as busy:
                beside = await self._make_way(viewer, command, busy)
                raise Moved from busy
            except (Crowded, QuotaExceeded) as refused:
                await self._look_for_busy(viewer, plan, refused)
                raise

        return await self._once.do(viewer, command, attempt)

    async def _make_way(self, viewer: Viewer, command: Starting, busy: ConversationBusy) -> Beside | None:
        """Raises `busy` again where the policy does not help."""
        match command.on_busy:
            case BusyPolicy.INTERRUPT:
                await self._interrupt(viewer, busy)
                return None
            # What is answered once more has its place already.
            case BusyPolicy.BRANCH if not isinstance(command, RegenerateReply):
                return await self._plans.beside(viewer, busy)
            case _:
                raise busy

    async def _look_for_busy(self, viewer: Viewer, plan: Plan, refused: Crowded | QuotaExceeded) -> None:
        """That the path is busy goes before limits, which are looked at first only because their locks come first.

        Raises ConversationBusy, and Moved where the run that was in the way of a limit has been interrupted.
        """
        run = await self._writers.writing(viewer, plan.answers) if plan.answers else None
        policy = plan.command.on_busy
        if run is not None and policy is BusyPolicy.REJECT:
            raise ConversationBusy(run) from refused
        if run is not None and policy is BusyPolicy.INTERRUPT and isinstance(refused, Crowded):
            await self._interrupt(viewer, ConversationBusy(run))
            raise Moved from refused

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

    async def _write(self, viewer: Viewer, plan: Plan) -> Written:
        """One transaction, one commit. Raises KeyTaken, Moved."""
        said, reply = self._said(plan), self._reply(plan)
        asked_id = said.id if said else plan.answers
        assert asked_id is not None, "what is not said now stands there"
        done = memo(viewer, plan.command, plan.conversation.id, asked_id, reply)
        async with self._conversations.writing(done) as writing:
            payer, claim = self._admission.payer(viewer), self._plans.claim(plan)
            if plan.wish.conversation is None and said is not None:
                return await self._open(writing, plan, said, reply, Admitted(payer, claim))
            admitted = await self._admission.admit(writing, payer, claim)
            tree = await _tree(writing, viewer, plan)
            return await self._grow(tree, plan, said, reply, admitted=admitted)

    async def _open(self, writing: Writing, plan: Plan, said: Draft, reply: Draft, admitted: Admitted) -> Written:
        """What limits have to say of it comes back with all that was written, and a refusal takes that back."""
        run, instruction = self._run(plan, plan.conversation, said.id, reply, admitted), _instruction(plan)
        begun, drafts = self._begun(run, plan, admitted), [said, replace(reply, status=run.status.of_reply())]
        opening = writing.opening(plan.conversation, instruction, drafts, begun)
        admitted = await self._admission.admit(opening, admitted.payer, admitted.claim)
        if admitted.crossed:
            run = self._run(plan, plan.conversation, said.id, reply, admitted)
            await opening.note(run)
        return self._written(plan, opening.grown.messages[0], opening.grown, run)

    async def _grow(self, tree: Tree, plan: Plan, said: Draft | None, reply: Draft, *, admitted: Admitted) -> Written:
        standing = await _standing(tree, plan)
        asked_id = said.id if said else plan.answers
        assert asked_id is not None, "what is not said now stands there"
        run = self._run(plan, tree.conversation, asked_id, reply, admitted, ahead=plan.ahead(standing))
        if run.status is GenerationStatus.RUNNING and not plan.window.settled:
            # A reply in it has ended since it was read, and says more now.
            raise Moved
        reply = replace(reply, status=run.status.of_reply())
        drafts = [said, reply] if said else [reply]
        grown = await tree.grow(drafts, standing.message, self._begun(run, plan, admitted))
        asked = grown.messages[0] if said else standing.message
        assert asked is not None, "a reply answers something"
        return self._written(plan, asked, grown, run)

    def _run(
        self,
        plan: Plan,
        conversation: Conversation,
        asked: MessageId,
        reply: Draft,
        admitted: Admitted,
        *,
        ahead: Generation | None = None,
    ) -> Generation:
        return new_run(
            reply,
            conversation,
            plan.model,
            plan.wish.settings,
            plan.window,
            asked=asked,
            admitted=admitted,
            trigger=plan.wish.trigger,
            queued=ahead is not None or self._runs.has_line(plan.model),
            waits_for=ahead.id if ahead else None,
            instruction=plan.wish.instruction,
        )

    def _begun(self, run: Generation, plan: Plan, admitted: Admitted) -> NewRun:
        return NewRun(run, self._runs.node.id, self._runs.node.lease, plan.window.sums_up, admitted)

    def _written(self, plan: Plan, asked: Message, grown: Grown, run: Generation) -> Written:
        sent, left_job = Sent(grown.conversation, asked, grown.messages[-1], run, replayed=False), plan.window.sums_up
        order = Order(run, plan.model, plan.window.request) if run.status is not GenerationStatus.QUEUED else None
        return Written(sent, order, left_job is not None)

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


def _instruction(plan: Plan) -> str | None:
    return new_conversation(plan.command).instruction


async def _tree(writing: Writing, viewer: Viewer, plan: Plan) -> Tree:
    tree = await writing.lock(viewer.id, plan.conversation.id)
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
