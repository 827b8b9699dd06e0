"""Going on with a reply that was stopped, lost, or cut by length: its text is kept to the byte."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from domain.access import Access
from domain.conversation.commands import ContinueReply
from domain.conversation.once import Moved, Once, Sent, Written, memo, new_run
from domain.conversation.rules import check_output
from domain.conversation.store import ConversationStore, Draft, Grown, NewRun, Tree
from domain.errors import ContextTooLarge, ConversationBusy, InputRule, NotContinuable, NotFound, Refusal
from domain.generation.claiming import claimed
from domain.generation.entity import FinishReason, Generation, GenerationSettings, GenerationStatus, GenerationTrigger
from domain.generation.log import GenerationStore
from domain.generation.prepare import Order
from domain.generation.runs import Runs
from domain.generation.window import Window, Windows
from domain.instruction import Instructions
from domain.message import Message, MessageRole, MessageStatus, MessageStore
from domain.model import Model, ModelCapability, Models
from domain.problems import Problems
from domain.quota.admission import Admission, Admitted, Crowded
from domain.quota.claim import Claim, candidates
from domain.text import is_blank
from domain.user import Viewer
from domain.world import GenerationId, MessageId, World

CUT_SHORT = frozenset({GenerationStatus.STOPPED, GenerationStatus.INTERRUPTED, GenerationStatus.TIMED_OUT})


@dataclass(frozen=True, slots=True)
class Plan:
    reply: Message
    asked: Message
    before: Generation
    model: Model
    window: Window
    received_at: datetime

    @property
    def kept(self) -> str:
        return kept_of(self.reply)

    @property
    def in_place(self) -> bool:
        """A reply that something stands on, or that says nothing yet, gets a sibling instead."""
        return bool(self.kept) and self.reply.child_count == 0


class Continuations:
    def __init__(
        self,
        conversations: ConversationStore,
        messages: MessageStore,
        generations: GenerationStore,
        once: Once,
        *,
        admission: Admission,
        models: Models,
        access: Access,
        instructions: Instructions,
        runs: Runs,
        windows: Windows,
        world: World,
    ) -> None:
        self._admission = admission
        self._conversations, self._messages, self._generations = conversations, messages, generations
        self._once, self._models, self._access = once, models, access
        self._runs, self._world = runs, world
        self._instructions, self._windows = instructions, windows

    async def go_on(self, viewer: Viewer, command: ContinueReply) -> Sent:
        """Raises every refusal of ContinueReplyResult; then nothing was written."""

        async def attempt() -> Written:
            plan = await self._plan(viewer, command)
            return await self._once.write_and_start(self._write(viewer, command, plan))

        return await self._once.do(viewer, command, attempt)

    async def take_up(self, left: Generation) -> None:
        """Goes on with what another process had to leave, unless its user was first. Raises ServerDraining, Unavailable."""
        self._runs.require_open()
        reply = (await self._messages.messages(left.owner_id, [left.reply_id])).get(left.reply_id)
        if reply is None or reply.generation_id != left.id:
            return
        try:
            plan = await self._planned(reply, left, self._able(reply, left), left.settings)
        except ContextTooLarge:
            await self._generations.let_be(left.id)
            return
        except NotFound:
            # Deleted since the first look.
            return
        with suppress(Moved, Crowded, Refusal):
            await self._once.write_and_start(self._write_on(plan))

    async def _plan(self, viewer: Viewer, command: ContinueReply) -> Plan:
        reply = (await self._messages.messages(viewer.id, [command.reply])).get(command.reply)
        if reply is None:
            raise NotFound("input", "reply")
        self._check(command, reply)
        before = await self._cut_short(viewer, reply)
        self._access.require(viewer, self._models.recorded(before.model_key))
        model = self._able(reply, before)
        problems = Problems()
        check_output(problems, GenerationSettings(max_output_tokens=command.max_output_tokens), model, ())
        problems.refuse()
        settings = before.settings
        if command.max_output_tokens is not None:
            settings = replace(settings, max_output_tokens=command.max_output_tokens)
        return await self._planned(reply, before, model, settings)

    async def _planned(self, reply: Message, before: Generation, model: Model, settings: GenerationSettings) -> Plan:
        """Raises ContextTooLarge, NotFound."""
        owner, received_at = before.owner_id, self._world.now()
        assert reply.parent_id is not None, "what a run wrote answers something"
        asked = (await self._messages.messages(owner, [reply.parent_id])).get(reply.parent_id)
        if asked is None:
            raise NotFound("input", "reply")
        policy = await self._windows.policy(reply.conversation_id)
        layers = await self._instructions.layers(owner, model.key, reply.conversation_id, request=before.instruction)
        window = await self._windows.assemble(
            owner, asked.parent_id, asked.text, model, settings, begun=kept_of(reply), layers=layers, policy=policy
        )
        return Plan(reply, asked, before, model, window, received_at)

    def _check(self, command: ContinueReply, reply: Message) -> None:
        problems = Problems()
        problems.key(command.idempotency_key)
        if reply.role is not MessageRole.ASSISTANT:
            problems.add(InputRule.WRONG_ROLE, ("reply",), "Only a model's reply can go on.")
        problems.within(command.max_output_tokens, ("maxOutputTokens",), 1, 1_000_000)
        problems.refuse()

    async def _cut_short(self, viewer: Viewer, reply: Message) -> Generation:
        """The run that wrote it last. Raises ConversationBusy, NotContinuable."""
        found = await self._generations.generations(viewer.id, [reply.generation_id] if reply.generation_id else [])
        before = next(iter(found.values()), None)
        if before is None:
            raise NotContinuable(reply, "This reply is a copy and was not written here: send a new message instead.")
        if before.ended_at is None:
            raise ConversationBusy(before)
        if was_cut_short(reply, before):
            return before
        raise NotContinuable(reply, "This reply ended whole: there is nothing to go on with.")

    def _able(self, reply: Message, before: Generation) -> Model:
        model = self._models.require_offered(self._models.recorded(before.model_key))
        if kept_of(reply) and ModelCapability.CONTINUE not in model.capabilities:
            raise NotContinuable(reply, f"The model {model.key} cannot go on from a text: send a new message instead.")
        return model

    async def _write(self, viewer: Viewer, command: ContinueReply, plan: Plan) -> Written:
        """One transaction, one commit. Raises KeyTaken, Moved."""
        draft = self._draft(plan)
        done = memo(viewer, command, plan.reply.conversation_id, plan.asked.id, draft)
        async with self._conversations.writing(done) as writing:
            admitted = await self._admission.admit(writing, self._admission.payer(viewer), self._claim(plan))
            tree = await writing.lock(viewer.id, plan.reply.conversation_id)
            if tree is None:
                raise NotFound("input", "reply")
            tree.conversation.require_open()
            await _look_again(tree, plan)
            return await self._begin(tree, plan, draft, admitted)

    async def _write_on(self, plan: Plan) -> Written:
        """The same without a key: that the run before was handed over is what happens once. What is shown stays."""
        payer = await self._admission.payer_of(plan.before.owner_id, plan.before.api_key_id)
        if payer is None:
            raise NotFound("reply")
        async with self._conversations.writing() as writing:
            admitted = await self._admission.admit(writing, payer, self._claim(plan, messages=0))
            tree = await writing.lock(plan.before.owner_id, plan.reply.conversation_id)
            if tree is None:
                raise NotFound("reply")
            tree.conversation.require_open()
            await _look_again(tree, plan)
            shown = (await tree.look(tree.conversation.active_leaf_id)).message
            if not await tree.take_up(plan.before.id):
                raise Moved
            written = await self._begin(tree, plan, self._draft(plan), admitted)
            if shown is not None and shown.id != plan.reply.id:
                await tree.show(shown, plan.received_at)
            return written

    def _claim(self, plan: Plan, *, messages: int = 1) -> Claim:
        form = plan.before.settings.response_format
        return claimed(candidates(plan.model, self._models), plan.window, form, messages=messages)

    def _draft(self, plan: Plan) -> Draft:
        """The reply as its run finds it, in its old place or in a new one."""
        run_id = GenerationId(self._world.new_id())
        reply_id = plan.reply.id if plan.in_place else MessageId(self._world.new_id())
        pending = MessageStatus.PENDING
        return Draft(reply_id, MessageRole.ASSISTANT, pending, plan.kept, plan.received_at, generation_id=run_id)

    async def _begin(self, tree: Tree, plan: Plan, draft: Draft, admitted: Admitted) -> Written:
        run = new_run(
            draft,
            tree.conversation,
            plan.model,
            plan.before.settings,
            plan.window,
            asked=plan.asked.id,
            admitted=admitted,
            trigger=GenerationTrigger.CONTINUE,
            queued=self._runs.has_line(plan.model),
            instruction=plan.before.instruction,
        )
        begun = NewRun(run, self._runs.node.id, self._runs.node.lease, plan.window.sums_up, admitted)
        grown = await self._grow(tree, plan, replace(draft, status=run.status.of_reply()), begun)
        [reply] = grown.messages
        sent = Sent(grown.conversation, plan.asked, reply, run, replayed=False)
        left_job = plan.window.sums_up is not None
        if run.status is GenerationStatus.QUEUED:
            return Written(sent, None, left_job)
        return Written(sent, Order(run, plan.model, plan.window.request, kept=plan.kept), left_job)

    async def _grow(self, tree: Tree, plan: Plan, draft: Draft, begun: NewRun) -> Grown:
        if plan.in_place:
            return await tree.reopen(plan.reply, begun)
        return await tree.grow([draft], plan.asked, begun)


async def _look_again(tree: Tree, plan: Plan) -> None:
    """Under the lock: two continuations of one reply must not both write it. Raises NotContinuable, ConversationBusy, Moved."""
    standing = await tree.look(plan.reply.id)
    now = standing.message
    if now is None or now.generation_id != plan.reply.generation_id or now.text != plan.reply.text:
        raise NotContinuable(now or plan.reply, "This reply has gone on meanwhile: look at `currentReply`.")
    if standing.unfinished is not None:
        raise ConversationBusy(standing.unfinished)
    if plan.in_place and now.child_count > 0:
        raise Moved


def was_cut_short(reply: Message, run: Generation) -> bool:
    """By the run that wrote it last, which has ended."""
    failed_with_text = run.status is GenerationStatus.FAILED and bool(kept_of(reply))
    return run.status in CUT_SHORT or run.finish_reason is FinishReason.LENGTH or failed_with_text


def kept_of(reply: Message) -> str:
    """White space alone is nothing to go on from."""
    return "" if is_blank(reply.text) else reply.text
