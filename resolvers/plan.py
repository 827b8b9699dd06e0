"""Plans, and what a model's place in them means for who is asking."""

from decimal import Decimal

import strawberry

from domain.access import ModelUnavailableReason
from domain.model import Model
from domain.plan import Plan
from domain.quota.limit import PlanLimit
from domain.user import User
from resolvers.context import Info


def models(root: strawberry.Parent[Plan], info: Info) -> list[Model]:
    return [model for model in info.context.services.models.on_offer() if root.includes(model.key)]


def plan_of_user(root: strawberry.Parent[User], info: Info) -> Plan:
    return info.context.services.plans.of(root)


async def available(root: strawberry.Parent[Model], info: Info) -> bool:
    return await info.context.services.access.shown(info.context.visitor, root) is None


async def unavailable_reason(root: strawberry.Parent[Model], info: Info) -> ModelUnavailableReason | None:
    denied = await info.context.services.access.shown(info.context.visitor, root)
    return denied.reason if denied is not None else None


def required_plan(root: strawberry.Parent[Model], info: Info) -> Plan | None:
    denied = info.context.services.access.denial(info.context.visitor, root)
    return denied.required_plan if denied is not None else None


def soft_limit(root: strawberry.Parent[PlanLimit]) -> Decimal | None:
    return root.soft


def hard_limit(root: strawberry.Parent[PlanLimit]) -> Decimal | None:
    return root.hard
