"""What a send would do, by the checks that it goes through itself; nothing is written."""

from dataclasses import dataclass, replace
from decimal import Decimal

from domain.conversation.commands import BusyPolicy, SendMessage
from domain.conversation.once import MOST_SHOWN, told
from domain.conversation.plan import Plan, Plans
from domain.conversation.store import ConversationStore
from domain.errors import ConversationBusy, Refusal, TooManyGenerations
from domain.generation.entity import Notice
from domain.generation.log import GenerationStore
from domain.generation.runs import Runs
from domain.generation.window import Window
from domain.model import Model
from domain.quota.admission import Admission, Crowded
from domain.quota.counter import Quota
from domain.user import Viewer
from domain.window.report import ContextReport
from domain.world import MessageId


@dataclass(frozen=True, slots=True)
class Preview:
    """`refusal`: the first that the send would meet; what was known before it is filled in."""

    refusal: Refusal | None = None
    model: Model | None = None
    window: Window | None = None
    parent: MessageId | None = None
    maximum_cost: Decimal | None = None
    crossed: tuple[Quota, ...] = ()

    @property
    def notices(self) -> tuple[Notice, ...]:
        return (*map(told, self.crossed), *(self.window.notices if self.window else ()))

    @property
    def context(self) -> ContextReport | None:
        """Ends in the message that would be answered: the new text is none yet."""
        return replace(self.window.report, leaf=self.parent) if self.window else None

    @property
    def estimated_input_tokens(self) -> int | None:
        return self.window.estimated_tokens if self.window else None


class Previews:
    def __init__(
        self,
        conversations: ConversationStore,
        generations: GenerationStore,
        plans: Plans,
        admission: Admission,
        runs: Runs,
    ) -> None:
        self._conversations, self._generations, self._plans = conversations, generations, plans
        self._admission, self._runs = admission, runs

    async def of(self, viewer: Viewer, command: SendMessage) -> Preview:
        """The same checks in the same order as a send's. Its key is not looked up."""
        preview = Preview()
        try:
            viewer.require_writing()
            self._runs.require_open()
            wish, model = await self._plans.wish(viewer, command)
            preview = Preview(model=model)
            plan = await self._plans.fitted(viewer, command, wish, model, None)
            preview = self._of_plan(plan)
            plan = await self._past_busy(viewer, plan)
            preview = self._of_plan(plan)
            return replace(preview, crossed=await self._admitted(viewer, plan))
        except Refusal as refusal:
            return replace(preview, refusal=refusal)

    async def _past_busy(self, viewer: Viewer, plan: Plan) -> Plan:
        """The plan that would be carried out. Raises ConversationBusy."""
        if plan.wish.conversation is None:
            return plan
        try:
            plan.ahead(await self._conversations.look(plan.conversation, plan.answers))
        except ConversationBusy as busy:
            match plan.command.on_busy:
                case BusyPolicy.INTERRUPT:
                    return plan
                case BusyPolicy.BRANCH:
                    return await self._plans.of(viewer, plan.command, await self._plans.beside(viewer, busy))
                case _:
                    raise
        return plan

    async def _admitted(self, viewer: Viewer, plan: Plan) -> tuple[Quota, ...]:
        """The soft limits that it would pass. Raises QuotaExceeded, TooManyGenerations, LimitReached."""
        if plan.wish.conversation is None:
            await self._conversations.require_room(viewer.id)
        try:
            admitted = await self._admission.foresee(self._admission.payer(viewer), self._plans.claim(plan))
        except Crowded as crowded:
            running = await self._generations.unfinished(viewer.id, MOST_SHOWN)
            raise TooManyGenerations(running, active=crowded.active, limit=crowded.limit) from None
        return admitted.crossed

    def _of_plan(self, plan: Plan) -> Preview:
        return Preview(None, plan.model, plan.window, plan.parent, self._plans.claim(plan).cost)
