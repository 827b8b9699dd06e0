"""Limits: what is left of them, and setting them."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import strawberry

from domain.generation.entity import Notice
from domain.quota.counter import Quota
from domain.quota.limit import PlanLimit, QuotaMetric, QuotaScope, QuotaWindow
from domain.quota.service import Target
from domain.world import PlanKey
from resolvers import node
from resolvers.context import Info


@strawberry.input(description="A limit. Exactly one of `user`, `apiKey` and `plan`; null limits: none.")
class SetQuotaInput:
    metric: QuotaMetric = strawberry.field(description="What is limited.")
    window: QuotaWindow = strawberry.field(
        description="Over which time; INSTANT for CONCURRENT_GENERATIONS, and only for these."
    )
    user: strawberry.ID | None = strawberry.field(
        default=None, description="For one user, in place of what the plan says."
    )
    api_key: strawberry.ID | None = strawberry.field(
        default=None, description="For what is done with one API key, beside the limits of its user."
    )
    plan: str | None = strawberry.field(default=None, description="A `Plan.key`: for each of its users.")
    soft_limit: Decimal | None = strawberry.field(
        default=None, description="Past it a send has a notice, once per window. Counts, or USD for COST."
    )
    hard_limit: Decimal | None = strawberry.field(default=None, description="What would go past it is refused.")


@dataclass(frozen=True, slots=True)
class QuotaSet:
    metric: QuotaMetric
    window: QuotaWindow
    soft_limit: Decimal | None
    hard_limit: Decimal | None


async def of_viewer(root: strawberry.Parent[object], info: Info) -> list[Quota]:
    return await info.context.services.quotas.of(info.context.viewer)


async def of_notice(root: strawberry.Parent[Notice], info: Info) -> Quota | None:
    return await info.context.loaders.quota.load(root.quota_id) if root.quota_id else None


async def set_quota(info: Info, input: SetQuotaInput) -> QuotaSet:
    limit = PlanLimit(input.metric, input.window, input.soft_limit, input.hard_limit)
    found = await info.context.services.quotas.set(info.context.viewer, list(_targets(input)), limit)
    return QuotaSet(found.metric, found.window, found.soft, found.hard)


def _targets(input: SetQuotaInput) -> Iterator[Target]:
    """All that are named."""
    if input.user is not None:
        yield Target(QuotaScope.USER, user=node.user_id(input.user))
    if input.api_key is not None:
        yield Target(QuotaScope.API_KEY, key=node.api_key_id(input.api_key))
    if input.plan is not None:
        yield Target(QuotaScope.PLAN, plan=PlanKey(input.plan))
