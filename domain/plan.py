"""Plans: which models, features and limits a user has."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from domain.model import ModelKey
from domain.quota.limit import PlanLimit, QuotaMetric, QuotaWindow
from domain.user import Role, User
from domain.world import PlanKey

MOST_PLANS = 50
PEOPLE = frozenset({Role.USER, Role.PREMIUM, Role.ADMIN, Role.SERVICE})


@dataclass(frozen=True, slots=True)
class Plan:
    """`models` None: every one. `address_limits`: for all guests of one address together, beside each guest's own.

    `roles` may have it, those in `default_for` have it unless they were given another.
    """

    key: PlanKey
    name: str
    models: frozenset[ModelKey] | None = None
    features: tuple[str, ...] = ()
    limits: tuple[PlanLimit, ...] = ()
    address_limits: tuple[PlanLimit, ...] = ()
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
        self.become(plans)

    def become(self, plans: Iterable[Plan]) -> None:
        """What was applied since."""
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
    """Where the configuration names none: every model for everybody, and limits for guests only."""
    return (
        Plan(
            PlanKey("guest"),
            "Guest",
            limits=(
                PlanLimit(QuotaMetric.MESSAGES, QuotaWindow.DAY, Decimal(40), Decimal(50)),
                PlanLimit(QuotaMetric.CONCURRENT_GENERATIONS, QuotaWindow.INSTANT, None, Decimal(2)),
            ),
            address_limits=(
                PlanLimit(QuotaMetric.MESSAGES, QuotaWindow.DAY, None, Decimal(200)),
                PlanLimit(QuotaMetric.CONCURRENT_GENERATIONS, QuotaWindow.INSTANT, None, Decimal(10)),
            ),
            roles=frozenset({Role.GUEST}),
            default_for=frozenset({Role.GUEST}),
        ),
        Plan(PlanKey("unlimited"), "Unlimited", default_for=PEOPLE),
    )
