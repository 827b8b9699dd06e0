"""Sends as far as storage goes, with admission: to be raced, and to be followed through random histories."""

from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from domain.conversation.store import NewRun
from domain.errors import QuotaExceeded
from domain.generation.entity import Generation
from domain.model import ModelKey
from domain.plan import Plan, Plans, usual_plans
from domain.quota.admission import Admission, Admitted, Crowded
from domain.quota.claim import Claim, Price
from domain.quota.counter import Override, Payer
from domain.quota.limit import PlanLimit, QuotaMetric, QuotaScope, QuotaWindow
from domain.user import Role, User
from domain.world import ApiKeyId, PlanKey, UserId
from repositories.account import SqlAccounts
from repositories.database import Database
from repositories.guest import SqlGuests
from repositories.quota.store import SqlQuotas
from repositories.user import SqlUsers
from tests.repositories.story import (
    LEASE,
    NODE,
    NOW,
    WORLD,
    Story,
    draft,
    draft_of_reply,
    new_conversation,
    new_generation,
)

PRICE = Price(ModelKey("llama"), Decimal(1000), Decimal(2000))


MOST = 7
SPANS = [window for window in QuotaWindow if window is not QuotaWindow.INSTANT]
CASES = [
    *((metric, window) for metric in (QuotaMetric.MESSAGES, QuotaMetric.TOKENS, QuotaMetric.COST) for window in SPANS),
    (QuotaMetric.CONCURRENT_GENERATIONS, QuotaWindow.INSTANT),
]


def claim(tokens: int, cost: Decimal) -> Claim:
    return Claim(tokens, cost, (PRICE,))


ONE = claim(10, Decimal("0.000000003"))


def limit_for(metric: QuotaMetric, most: int) -> Decimal:
    """What a limit is that lets so many of ONE through, and almost one more."""
    match metric:
        case QuotaMetric.TOKENS:
            return Decimal(most * ONE.tokens + ONE.tokens - 1)
        case QuotaMetric.COST:
            return ONE.cost * most + Decimal("0.000000002")
        case _:
            return Decimal(most)


# Of each metric and window, for guests of one address.
SHARED = [
    Plan(
        PlanKey(f"{metric.value}.{window.value}"),
        "",
        address_limits=(PlanLimit(metric, window, hard=limit_for(metric, MOST)),),
        roles=frozenset({Role.GUEST}),
    )
    for metric, window in CASES
]


@dataclass(frozen=True, slots=True)
class Customer:
    """A user with an API key, whose sends are admitted."""

    story: Story
    payer: Payer
    admission: Admission

    @classmethod
    def of(cls, database: Database, user: User) -> "Customer":
        plans = Plans((*usual_plans(), *SHARED))
        key_id = None if user.role is Role.GUEST else ApiKeyId(UUID(int=user.id.int ^ 1))
        payer = Payer(user, key_id, plans.of(user).key)
        return cls(Story(database, user.id), payer, Admission(SqlQuotas(database), SqlUsers(database), plans))

    @classmethod
    async def stored(cls, database: Database, owner: UserId) -> "Customer":
        user = await SqlUsers(database).user(owner)
        assert user is not None
        return cls.of(database, user)

    @classmethod
    async def begun(cls, database: Database) -> "Customer":
        return await cls.stored(database, (await Story.begun(database)).owner)

    @classmethod
    async def guest(cls, database: Database, address: bytes, plan: Plan) -> "Customer":
        """One session from there."""
        guest = User(UserId(WORLD.new_id()), None, Role.GUEST, NOW, address_digest=address)
        assert await SqlGuests(database).admit(guest, most=1_000_000) is None
        await SqlAccounts(database).set_plan(guest.id, plan.key)
        return await cls.stored(database, guest.id)

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
                begun = NewRun(run, NODE, LEASE, admitted=Admitted(self.payer, claim))
                opening = writing.opening(conversation, None, [draft("What is a tree?"), reply], begun)
                await self.admission.admit(opening, self.payer, claim)
        except (QuotaExceeded, Crowded):
            return None
        return run
