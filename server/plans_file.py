"""The TOML file that GUS_PLANS names: which models, features and limits users have."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from domain.model import ModelKey
from domain.plan import MOST_PLANS, PEOPLE, Plan, usual_plans
from domain.quota.limit import PlanLimit, QuotaMetric, QuotaWindow
from domain.user import Role
from domain.world import PlanKey
from server.settings import BadSettings, Settings
from server.tables_file import Key, Name, Table, read_tables

EVERY = "*"
RoleName = Literal["GUEST", "USER", "PREMIUM", "ADMIN", "SERVICE"]


def configured_plans(settings: Settings) -> tuple[Plan, ...]:
    """Raises BadSettings."""
    return read_plans(settings.plans) if settings.plans is not None else usual_plans()


def read_plans(file: Path) -> tuple[Plan, ...]:
    """Raises BadSettings with every problem, each with file, table and key."""
    tables = read_tables(file, _Tables, setting="GUS_PLANS")
    if problems := list(_reference_problems(tables)):
        raise BadSettings(f"{file}: {problem}" for problem in problems)
    return tuple(_to_plan(table) for table in tables.plans)


def _checked_limit(given: object) -> Decimal:
    if isinstance(given, bool) or not isinstance(given, int | Decimal):
        raise ValueError("must be a number")
    return Decimal(given)


Limit = Annotated[Decimal, BeforeValidator(_checked_limit)]


class _LimitTable(Table):
    metric: Literal["MESSAGES", "TOKENS", "COST", "CONCURRENT_GENERATIONS"]
    window: Literal["MINUTE", "HOUR", "DAY", "MONTH", "INSTANT"]
    soft: Limit | None = None
    hard: Limit | None = None

    @model_validator(mode="after")
    def _means_something(self) -> "_LimitTable":
        if self.soft is None and self.hard is None:
            raise ValueError("soft, hard or both must be given")
        for field, words in self.limit.flaws():
            raise ValueError(f"{field}: {words}")
        return self

    @property
    def limit(self) -> PlanLimit:
        return PlanLimit(QuotaMetric(self.metric), QuotaWindow(self.window), self.soft, self.hard)


def _each_once(limits: tuple[_LimitTable, ...]) -> tuple[_LimitTable, ...]:
    twice = Counter((limit.metric, limit.window) for limit in limits)
    if doubled := [f"{metric} per {window}" for (metric, window), times in twice.items() if times > 1]:
        raise ValueError(f"there is more than one limit of {', '.join(doubled)}")
    return limits


_Limits = Annotated[tuple[_LimitTable, ...], Field(strict=False, max_length=50), AfterValidator(_each_once)]


class _PlanTable(Table):
    key: Key
    name: Name
    models: Annotated[tuple[Key | Literal["*"], ...], Field(strict=False, max_length=200)] = (EVERY,)
    features: Annotated[tuple[Key, ...], Field(strict=False, max_length=50)] = ()
    roles: Annotated[tuple[RoleName, ...], Field(strict=False)] = tuple(sorted(role.value for role in PEOPLE))
    default_for: Annotated[tuple[RoleName, ...], Field(strict=False)] = ()
    limits: _Limits = ()
    address_limits: _Limits = ()

    @model_validator(mode="after")
    def _agrees(self) -> "_PlanTable":
        if EVERY in self.models and len(self.models) > 1:
            raise ValueError('models: "*" stands for all and alone')
        if beyond := [role for role in self.default_for if role not in self.roles]:
            raise ValueError(f"default_for: {', '.join(beyond)} is not among roles")
        if self.address_limits and Role.GUEST.value not in self.roles:
            raise ValueError("address_limits: only guests have an address, and GUEST is not among roles")
        return self


class _Tables(Table):
    plans: Annotated[tuple[_PlanTable, ...], Field(strict=False, max_length=MOST_PLANS)]


def _reference_problems(tables: _Tables) -> Iterable[str]:
    keys = Counter(plan.key for plan in tables.plans)
    yield from (f"[[plans]]: key: {key!r} is there twice" for key, times in keys.items() if times > 1)
    for role in Role:
        named = [plan.key for plan in tables.plans if role.value in plan.default_for]
        if len(named) != 1:
            found = f"it is in {', '.join(named)}" if named else "it is in none"
            yield f"[[plans]]: default_for: {role.value} must be in exactly one plan; {found}"


def _to_plan(table: _PlanTable) -> Plan:
    return Plan(
        key=PlanKey(table.key),
        name=table.name,
        models=None if EVERY in table.models else frozenset(map(ModelKey, table.models)),
        features=table.features,
        limits=tuple(limit.limit for limit in table.limits),
        address_limits=tuple(limit.limit for limit in table.address_limits),
        roles=frozenset(map(Role, table.roles)),
        default_for=frozenset(map(Role, table.default_for)),
    )
