"""What a send, an edit or a regeneration comes to: checked, nothing written yet; a preview ends here."""

from dataclasses import dataclass
from datetime import datetime

from domain.access import Access
from domain.conversation.commands import BusyPolicy, NewConversation, SendMessage
from domain.conversation.entity import Conversation
from domain.conversation.rules import check_output
from domain.conversation.service import opened
from domain.conversation.store import Standing
from domain.conversation.wishes import Starting, Wish, Wishes
from domain.errors import ConversationBusy
from domain.generation.claiming import claimed
from domain.generation.entity import Generation
from domain.generation.window import Window, Windows
from domain.instruction import Instructions
from domain.message import MessageStore
from domain.model import Model, Models
from domain.problems import Problems
from domain.quota.claim import Claim, candidates
from domain.user import Viewer
from domain.world import MessageId, World

MOST_WAITING = 5


@dataclass(frozen=True, slots=True)
class Beside:
    """BRANCH: the new message stands below `parent`, beside the one that is being answered."""

    parent: MessageId | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A wish that passed its checks: nothing is written yet, the conversation that it opens neither."""

    command: Starting
    wish: Wish
    conversation: Conversation
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

    def ahead(self, standing: Standing) -> Generation | None:
        """The run that this one has to wait for. Raises ConversationBusy."""
        busy = standing.unfinished
        if busy is None:
            return None
        if self.command.on_busy is not BusyPolicy.ENQUEUE or standing.waiting >= MOST_WAITING:
            raise ConversationBusy(busy)
        return busy


class Plans:
    def __init__(
        self,
        messages: MessageStore,
        wishes: Wishes,
        *,
        models: Models,
        access: Access,
        instructions: Instructions,
        windows: Windows,
        world: World,
    ) -> None:
        self._messages, self._wishes, self._models, self._access = messages, wishes, models, access
        self._instructions, self._windows, self._world = instructions, windows, world

    async def of(self, viewer: Viewer, command: Starting, beside: Beside | None) -> Plan:
        """Raises every refusal that needs no lock."""
        wish, model = await self.wish(viewer, command)
        return await self.fitted(viewer, command, wish, model, beside)

    async def wish(self, viewer: Viewer, command: Starting) -> tuple[Wish, Model]:
        """Raises what can be known before the window is assembled."""
        wish = await self._wishes.of(viewer, command)
        model = self._access.chosen(viewer, wish.settings.model)
        problems = Problems()
        check_output(problems, command.settings, model, ("settings",))
        problems.refuse()
        return wish, model

    async def fitted(self, viewer: Viewer, command: Starting, wish: Wish, model: Model, beside: Beside | None) -> Plan:
        """Raises ContextTooLarge."""
        received_at, new = self._world.now(), new_conversation(command)
        conversation = wish.conversation or opened(viewer.id, new, self._world)
        layers = await self._instructions.layers(
            viewer.id, model.key, conversation.id, opening=new.instruction, request=wish.instruction
        )
        window = await self._windows.assemble(
            viewer.id,
            beside.parent if beside else wish.parent,
            wish.text,
            model,
            wish.settings,
            layers=layers,
            policy=conversation.context_policy,
        )
        return Plan(command, wish, conversation, beside, model, window, received_at)

    def claim(self, plan: Plan) -> Claim:
        return claimed(candidates(plan.model, self._models), plan.window, plan.wish.settings.response_format)

    async def beside(self, viewer: Viewer, busy: ConversationBusy) -> Beside:
        replies = await self._messages.messages(viewer.id, [busy.active_generation.reply_id])
        asked_id = next((reply.parent_id for reply in replies.values()), None)
        asked = (await self._messages.messages(viewer.id, [asked_id])).get(asked_id) if asked_id else None
        return Beside(asked.parent_id if asked else None)


def new_conversation(command: Starting) -> NewConversation:
    return (command.new_conversation if isinstance(command, SendMessage) else None) or NewConversation()
