"""One batch per edge: whatever the number of rows on a page, an edge of all of them is one statement."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Protocol, TypeVar

from strawberry.dataloader import DataLoader

from domain.conversation.entity import Conversation
from domain.conversation.service import Conversations
from domain.feedback import Feedback, Feedbacks
from domain.generation.entity import Generation
from domain.generation.service import Generations
from domain.generation.window import Windows
from domain.instruction import Instruction, Instructions
from domain.ledger import Ledger, UsageTotals
from domain.message import Family, Message, Messages
from domain.page import Page, PageArgs
from domain.quota.counter import Quota, QuotaId
from domain.quota.service import Quotas
from domain.user import ApiKey, User, Users, Viewer
from domain.window.summary import ContextSummary
from domain.world import ApiKeyId, ConversationId, GenerationId, InstructionId, MessageId, SummaryId, UserId

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Needed(Protocol):
    @property
    def conversations(self) -> Conversations: ...

    @property
    def users(self) -> Users: ...

    @property
    def messages(self) -> Messages: ...

    @property
    def generations(self) -> Generations: ...

    @property
    def feedback(self) -> Feedbacks: ...

    @property
    def instructions(self) -> Instructions: ...

    @property
    def windows(self) -> Windows: ...

    @property
    def quotas(self) -> Quotas: ...

    @property
    def ledger(self) -> Ledger: ...


class Loaders:
    def __init__(self, services: Needed, viewer: Viewer) -> None:
        messages = services.messages
        self.conversation: DataLoader[ConversationId, Conversation | None] = _loader(
            lambda ids: services.conversations.by_id(viewer, ids)
        )
        self.message: DataLoader[MessageId, Message | None] = _loader(lambda ids: messages.by_id(viewer, ids))
        self.generation: DataLoader[GenerationId, Generation | None] = _loader(
            lambda ids: services.generations.by_id(viewer, ids)
        )
        self.feedback: DataLoader[MessageId, Feedback | None] = _loader(
            lambda ids: services.feedback.by_message(viewer, ids)
        )
        self.api_key: DataLoader[ApiKeyId, ApiKey | None] = _loader(lambda _: services.users.keys_by_id(viewer))
        self.user: DataLoader[UserId, User | None] = _loader(lambda ids: services.users.by_id(viewer, ids))
        self.conversation_instruction: DataLoader[ConversationId, str | None] = _loader(
            lambda ids: services.instructions.of_conversations(ids)
        )
        self.instruction: DataLoader[InstructionId, Instruction | None] = _loader(
            lambda ids: services.instructions.by_id(viewer, ids)
        )
        self.summary: DataLoader[SummaryId, ContextSummary | None] = _loader(
            lambda ids: services.windows.summaries(viewer, ids)
        )
        self.message_usage: DataLoader[MessageId, UsageTotals | None] = _loader(
            lambda ids: services.ledger.of_messages(viewer, ids)
        )
        self.quota: DataLoader[QuotaId, Quota | None] = _loader(lambda _: services.quotas.by_id(viewer))
        self.leaf_below: DataLoader[MessageId, Message | None] = _loader(lambda ids: messages.leaves_below(viewer, ids))
        self.sibling: DataLoader[tuple[Family, int], Message | None] = _loader(
            lambda places: messages.siblings_at(viewer, places)
        )
        self.family_size: DataLoader[Family, int | None] = _loader(lambda found: messages.family_sizes(viewer, found))
        self._family_pages: dict[PageArgs, DataLoader[Family, Page[Message] | None]] = {}
        self._runs_pages: dict[PageArgs, DataLoader[MessageId, Page[Generation] | None]] = {}
        self._messages, self._generations, self._viewer = messages, services.generations, viewer

    def family_page(self, page: PageArgs) -> DataLoader[Family, Page[Message] | None]:
        """One per set of paging arguments, which a whole level of the answer shares."""
        if page not in self._family_pages:
            self._family_pages[page] = _loader(lambda found: self._messages.families(self._viewer, found, page))
        return self._family_pages[page]

    def runs_page(self, page: PageArgs) -> DataLoader[MessageId, Page[Generation] | None]:
        """Likewise."""
        if page not in self._runs_pages:
            self._runs_pages[page] = _loader(lambda found: self._generations.of_replies(self._viewer, found, page))
        return self._runs_pages[page]


class _Shared(DataLoader[K, V]):
    """What several fields wait for is not cancelled when one of them is: graphql-core cancels all that stands beside a field
    that fails, and who asked for the same would be cancelled with it, up to the whole operation.
    """

    def load(self, key: K) -> Awaitable[V]:
        return asyncio.shield(super().load(key))


def _loader(find: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> DataLoader[K, V | None]:
    async def load(keys: list[K]) -> list[V | None]:
        found = await find(keys)
        return [found.get(key) for key in keys]

    return _Shared(load_fn=load)
