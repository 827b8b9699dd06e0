"""Going on with a reply that was stopped, lost, or cut by length: its text is kept to the byte."""

from dataclasses import dataclass, replace
from datetime import datetime

from domain.conversation.commands import ContinueReply
from domain.conversation.once import Moved, Once, Sent, Written, new_run, remembered
from domain.conversation.rules import Problems, check_output
from domain.conversation.store import ConversationStore, Draft, Tree
from domain.errors import ConversationBusy, InputRule, NotContinuable, NotFound
from domain.generation.entity import FinishReason, Generation, GenerationSettings, GenerationStatus, GenerationTrigger
from domain.generation.log import GenerationStore
from domain.generation.prepare import Order
from domain.generation.runs import Runs
from domain.generation.window import Window, Windows
from domain.message import Message, MessageRole, MessageStatus, MessageStore
from domain.model import Model, ModelCapability, Models
from domain.text import is_blank, units
from domain.user import Viewer
from domain.world import GenerationId, MessageId, World

CUT_SHORT = frozenset({GenerationStatus.STOPPED, GenerationStatus.INTERRUPTED, GenerationStatus.TIMED_OUT})


@dataclass(frozen=True, slots=True)
class Plan:
    command: ContinueReply
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
        models: Models,
        runs: Runs,
        world: World,
    ) -> None:
        self._conversations, self._messages, self._generations = conversations, messages, generations
        self._once, self._models, self._runs, self._world = once, models, runs, world
        self._windows = Windows(messages)

    async def go_on(self, viewer: Viewer, command: ContinueReply) -> Sent:
        """Raises every refusal of ContinueReplyResult; then nothing was written."""

        async def attempt() -> Written | None:
            plan = await self._plan(viewer, command)
            return await self._once.write_and_start(self._write(viewer, plan))

        return await self._once.do(viewer, command, attempt)

    async def _plan(self, viewer: Viewer, command: ContinueReply) -> Plan:
        received_at = self._world.now()
        reply = (await self._messages.messages(viewer.id, [command.reply])).get(command.reply)
        if reply is None:
            raise NotFound("input", "reply")
        self._check(command, reply)
        before = await self._cut_short(viewer, reply)
        model = self._able(reply, before)
        problems = Problems()
        check_output(problems, GenerationSettings(max_output_tokens=command.max_output_tokens), model, ())
        problems.refuse()
        settings = before.settings
        if command.max_output_tokens is not None:
            settings = replace(settings, max_output_tokens=command.max_output_tokens)
        asked = (
            (await self._messages.messages(viewer.id, [reply.parent_id]))[reply.parent_id] if reply.parent_id else None
        )
        assert asked is not None, "a reply answers something"
        window = await self._windows.assemble(
            viewer.id, asked.parent_id, asked.text, model, settings, begun=kept_of(reply)
        )
        return Plan(command, reply, asked, before, model, window, received_at)

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
        failed_with_text = before.status is GenerationStatus.FAILED and bool(kept_of(reply))
        if before.status in CUT_SHORT or before.finish_reason is FinishReason.LENGTH or failed_with_text:
            return before
        raise NotContinuable(reply, "This reply ended whole: there is nothing to go on with.")

    def _able(self, reply: Message, before: Generation) -> Model:
        model = self._models.require_offered(self._models.recorded(before.model_key))
        if kept_of(reply) and ModelCapability.CONTINUE not in model.capabilities:
            raise NotContinuable(reply, f"The model {model.key} cannot go on from a text: send a new message instead.")
        return model

    async def _write(self, viewer: Viewer, plan: Plan) -> Written | None:
        """One transaction, one commit. None: the key was taken meanwhile."""
        generation_id = GenerationId(self._world.new_id())
        reply_id = plan.reply.id if plan.in_place else MessageId(self._world.new_id())
        done = remembered(plan.command, plan.reply.conversation_id, plan.asked.id, reply_id, generation_id)
        async with self._conversations.writing() as writing:
            if not await writing.remember(viewer.id, plan.command.idempotency_key, done):
                return None
            tree = await writing.lock(viewer.id, plan.reply.conversation_id)
            if tree is None:
                raise NotFound("input", "reply")
            reply = await self._reply(tree, plan, reply_id, generation_id)
            return await self._begin(tree, plan, reply)

    async def _reply(self, tree: Tree, plan: Plan, reply_id: MessageId, generation_id: GenerationId) -> Message:
        """Looked at again under the lock: two continuations of one reply must not both write it."""
        now = await tree.message(plan.reply.id)
        if now is None or now.generation_id != plan.reply.generation_id or now.text != plan.reply.text:
            raise NotContinuable(now or plan.reply, "This reply has gone on meanwhile: look at `currentReply`.")
        if busy := await tree.unfinished_above(plan.asked):
            raise ConversationBusy(busy)
        if plan.in_place and now.child_count > 0:
            raise Moved
        if plan.in_place:
            return await tree.reopen(now, generation_id)
        pending = MessageStatus.PENDING
        draft = Draft(
            reply_id, MessageRole.ASSISTANT, pending, plan.kept, plan.received_at, generation_id=generation_id
        )
        [sibling] = await tree.add([draft], plan.asked)
        return sibling

    async def _begin(self, tree: Tree, plan: Plan, reply: Message) -> Written:
        queued = self._runs.has_line(plan.model)
        run = new_run(
            reply,
            plan.model,
            plan.before.settings,
            plan.window,
            trigger=GenerationTrigger.CONTINUE,
            queued=queued,
            at=plan.received_at,
            text_offset=units(plan.kept),
        )
        generation = await tree.begin(run, self._runs.node.id, self._runs.node.lease)
        conversation = await tree.activate(reply, plan.received_at)
        reply = replace(reply, status=generation.status.of_reply())
        sent = Sent(conversation, plan.asked, reply, generation, replayed=False)
        request = plan.window.request(plan.model, generation.settings)
        return Written(sent, None if queued else Order(generation, plan.model, request, kept=plan.kept))


def kept_of(reply: Message) -> str:
    """White space alone is nothing to go on from."""
    return "" if is_blank(reply.text) else reply.text
