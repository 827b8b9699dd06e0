"""Sends as far as storage goes, with admission: to be raced, and to be followed through random histories."""

from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from domain.conversation.store import NewRun
from domain.errors import QuotaExceeded
from domain.generation.entity import Generation
from domain.model import ModelKey
from domain.plan import Plans, usual_plans
from domain.quota.admission import Admission, Crowded
from domain.quota.claim import Claim, Price
from domain.quota.counter import Override, Payer
from domain.quota.limit import PlanLimit, QuotaMetric, QuotaScope, QuotaWindow
from domain.user import Role, User
from domain.world import ApiKeyId, UserId
from repositories.database import Database
from repositories.quota.store import SqlQuotas
from repositories.user import SqlUsers
from tests.repositories.story import LEASE, NODE, NOW, Story, draft, draft_of_reply, new_conversation, new_generation

PRICE = Price(ModelKey("llama"), Decimal(1000), Decimal(2000))


@dataclass(frozen=True, slots=True)
class Customer:
    """A user with an API key, whose sends are admitted."""

    story: Story
    payer: Payer
    admission: Admission

    @classmethod
    def of(cls, database: Database, owner: UserId) -> "Customer":
        plans, user = Plans(usual_plans()), User(owner, "Ada", Role.USER, NOW)
        payer = Payer(user, ApiKeyId(UUID(int=owner.int ^ 1)), plans.of(user).key)
        return cls(Story(database, owner), payer, Admission(SqlQuotas(database), SqlUsers(database), plans))

    @classmethod
    async def begun(cls, database: Database) -> "Customer":
        return cls.of(database, (await Story.begun(database)).owner)

    async def limit(self, metric: QuotaMetric, window: QuotaWindow, hard: Decimal) -> None:
        limit = PlanLimit(metric, window, hard=hard)
        override = Override(QuotaScope.USER, str(self.payer.user.id), limit)
        await SqlQuotas(self.story.database).set(override, self.payer.user.id)

    async def send(self, claim: Claim) -> Generation | None:
        """A new conversation with a run that is being written; None: it was refused."""
        conversation, reply = new_conversation(self.story.owner), draft_of_reply()
        run = replace(
            new_generation(reply, conversation),
            reserved=claim.cost,
            reserved_tokens=claim.tokens,
            prices=claim.prices,
            api_key_id=self.payer.key_id,
        )
        try:
            async with self.story.conversations.writing() as writing:
                admitted = await self.admission.admit(writing, self.payer, claim)
                tree = await writing.open(conversation)
                await tree.grow([draft("What is a tree?"), reply], None, NewRun(run, NODE, LEASE, admitted=admitted))
        except (QuotaExceeded, Crowded):
            return None
        return run


def claim(tokens: int, cost: Decimal) -> Claim:
    return Claim(tokens, cost, (PRICE,))


ONE = claim(10, Decimal("0.000000003"))
