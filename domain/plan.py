"""Plans: which models, features and limits a user has."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from domain.model import ModelKey
from domain.quota import PlanLimit, QuotaMetric, QuotaWindow
from domain.user import Role, User
from domain.world import PlanKey

MOST_PLANS = 50
PEOPLE = frozenset({Role.USER, Role.PREMIUM, Role.ADMIN, Role.SERVICE})


@dataclass(frozen=True, slots=True)
class Plan:
    """`models` None: every one. `roles` may have it, those in `default_for` have it unless they were given another."""

    key: PlanKey
    name: str
    models: frozenset[ModelKey] | None = None
    features: tuple[str, ...] = ()
    limits: tuple[PlanLimit, ...] = ()
    roles: frozenset[Role] = PEOPLE
    default_for: frozenset[Role] = frozenset()

    @property
    def id(self) -> PlanKey:
        return self.key

    def includes(self, key: ModelKey) -> bool:
        return self.models is None or key in self.models


class Plans:
    """In the order of the configuration: the first that would be enough is what is offered. Every role has a default."""

    def __init__(self, plans: Iterable[Plan]) -> None:
        self._plans = {plan.key: plan for plan in plans}
        self._default = {role: plan for plan in self._plans.values() for role in plan.default_for}
        assert set(self._default) == set(Role), "the configuration was checked"

    def __iter__(self) -> Iterator[Plan]:
        return iter(self._plans.values())

    def find(self, key: PlanKey) -> Plan | None:
        return self._plans.get(key)

    def of(self, user: User) -> Plan:
        """A plan that has left the configuration, or that the role may not have, counts as none given."""
        given = self._plans.get(user.plan_key) if user.plan_key is not None else None
        return given if given is not None and user.role in given.roles else self.of_role(user.role)

    def of_role(self, role: Role) -> Plan:
        return self._default[role]

    def with_model(self, key: ModelKey, role: Role) -> Plan | None:
        """The first that the role may have and that includes the model."""
        return next((plan for plan in self._plans.values() if role in plan.roles and plan.includes(key)), None)


def usual_plans() -> tuple[Plan, ...]:
    """Where the configuration names none: every model for everybody, within limits."""
    return (
        _usual("guest", "Guest", 50, at_once=2, roles={Role.GUEST}, default_for={Role.GUEST}),
        _usual("free", "Free", 500, at_once=5, roles=PEOPLE, default_for={Role.USER}),
        _usual("premium", "Premium", 10_000, at_once=10, roles=PEOPLE, default_for={Role.PREMIUM}),
        Plan(
            PlanKey("unlimited"),
            "Unlimited",
            roles=frozenset({Role.ADMIN, Role.SERVICE}),
            default_for=frozenset({Role.ADMIN, Role.SERVICE}),
        ),
    )


def _usual(
    key: str, name: str, messages_a_day: int, *, at_once: int, roles: Iterable[Role], default_for: Iterable[Role]
) -> Plan:
    soft, hard = Decimal(messages_a_day * 4 // 5), Decimal(messages_a_day)
    return Plan(
        PlanKey(key),
        name,
        limits=(
            PlanLimit(QuotaMetric.MESSAGES, QuotaWindow.DAY, soft, hard),
            PlanLimit(QuotaMetric.CONCURRENT_GENERATIONS, QuotaWindow.INSTANT, None, Decimal(at_once)),
        ),
        roles=frozenset(roles),
        default_for=frozenset(default_for),
    )
