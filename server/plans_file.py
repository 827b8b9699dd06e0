"""The TOML file that GUS_PLANS names, and that `gus plans apply` takes: which models, features and limits users have."""

import json
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import structlog
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from domain.applied import Applied
from domain.model import ModelKey
from domain.plan import MOST_PLANS, PEOPLE, Plan, usual_plans
from domain.quota.limit import HIGHEST, PlanLimit, QuotaMetric, QuotaWindow
from domain.user import Role
from domain.world import PlanKey
from server.settings import BadSettings, Settings
from server.tables_file import Key, Name, Table, parsed_tables, text_of

log = structlog.get_logger(__name__)

EVERY = "*"
RoleName = Literal["GUEST", "USER", "PREMIUM", "ADMIN", "SERVICE"]


def configured_plans(settings: Settings) -> tuple[Plan, ...]:
    """Raises BadSettings."""
    return read_plans(settings.plans) if settings.plans is not None else usual_plans()


def read_plans(file: Path) -> tuple[Plan, ...]:
    """Raises BadSettings with every problem, each with file, table and key."""
    return parsed_plans(text_of(file, setting="GUS_PLANS"), str(file))


def parsed_plans(text: str, source: str) -> tuple[Plan, ...]:
    """`source`: what the text is called where it is wrong. Raises BadSettings, as above."""
    tables = parsed_tables(text, source, PlansFile)
    if problems := list(_reference_problems(tables)):
        raise BadSettings(f"{source}: {problem}" for problem in problems)
    return tuple(_to_plan(table) for table in tables.plans)


def read_applied(applied: Applied) -> tuple[Plan, ...] | None:
    """None: this release cannot read it, and goes on with the plans that it has."""
    try:
        return parsed_plans(applied.document, f"plans of version {applied.version}")
    except BadSettings as bad:
        log.error("applied plans cannot be read", problems=list(bad.problems))
        return None


def plans_schema() -> str:
    """The JSON Schema of the file, for editors; what one key says about another is checked by the loader only."""
    schema = PlansFile.model_json_schema()
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    # The end of a text is written differently in Python.
    return json.dumps(described, indent=2, ensure_ascii=False).replace("\\\\Z", "$")


def _checked_limit(given: object) -> Decimal:
    if isinstance(given, bool) or not isinstance(given, int | Decimal):
        raise ValueError("must be a number")
    return Decimal(given)


Limit = Annotated[
    Decimal,
    BeforeValidator(_checked_limit),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": int(HIGHEST)}),
]


class LimitTable(Table):
    """At most so much of something in a window of time (UTC); `soft`, `hard` or both."""

    metric: Literal["MESSAGES", "TOKENS", "COST", "CONCURRENT_GENERATIONS"] = Field(description="What is limited.")
    window: Literal["MINUTE", "HOUR", "DAY", "MONTH", "INSTANT"] = Field(
        description="Over which time; INSTANT for CONCURRENT_GENERATIONS, and only for these."
    )
    soft: Limit | None = Field(
        default=None, description="Past it a send has a notice. A whole number, or USD for COST."
    )
    hard: Limit | None = Field(default=None, description="What would go past it is refused.")

    @model_validator(mode="after")
    def _means_something(self) -> "LimitTable":
        if self.soft is None and self.hard is None:
            raise ValueError("soft, hard or both must be given")
        for field, words in self.limit.flaws():
            raise ValueError(f"{field}: {words}")
        return self

    @property
    def limit(self) -> PlanLimit:
        return PlanLimit(QuotaMetric(self.metric), QuotaWindow(self.window), self.soft, self.hard)


def _each_once(limits: tuple[LimitTable, ...]) -> tuple[LimitTable, ...]:
    twice = Counter((limit.metric, limit.window) for limit in limits)
    if doubled := [f"{metric} per {window}" for (metric, window), times in twice.items() if times > 1]:
        raise ValueError(f"there is more than one limit of {', '.join(doubled)}")
    return limits


_Limits = Annotated[tuple[LimitTable, ...], Field(strict=False, max_length=50), AfterValidator(_each_once)]


class PlanTable(Table):
    """What a user may use, and how much of it."""

    key: Key = Field(description="How the plan is named by `Plan.key`, `setUserPlan` and `setQuota`.")
    name: Name = Field(description="How users read it.")
    models: Annotated[tuple[Key | Literal["*"], ...], Field(strict=False, max_length=200)] = Field(
        default=(EVERY,), description='The keys of the models that may be asked for; `"*"` alone for all.'
    )
    features: Annotated[tuple[Key, ...], Field(strict=False, max_length=50)] = Field(
        default=(), description="Words for front ends, which decide what they mean: `Plan.features`."
    )
    roles: Annotated[tuple[RoleName, ...], Field(strict=False)] = Field(
        default=tuple(sorted(role.value for role in PEOPLE)), description="Who may have it."
    )
    default_for: Annotated[tuple[RoleName, ...], Field(strict=False)] = Field(
        default=(), description="Who has it unless they were given another; every role in exactly one plan."
    )
    limits: _Limits = Field(default=(), description="What each of its users may take, each for himself.")
    address_limits: _Limits = Field(
        default=(), description="What all guests of one address may take together, beside the limits of each."
    )

    @model_validator(mode="after")
    def _agrees(self) -> "PlanTable":
        if EVERY in self.models and len(self.models) > 1:
            raise ValueError('models: "*" stands for all and alone')
        if beyond := [role for role in self.default_for if role not in self.roles]:
            raise ValueError(f"default_for: {', '.join(beyond)} is not among roles")
        if self.address_limits and Role.GUEST.value not in self.roles:
            raise ValueError("address_limits: only guests have an address, and GUEST is not among roles")
        return self


class PlansFile(Table):
    """Plans, in the order in which they are offered: the first that would be enough."""

    plans: Annotated[tuple[PlanTable, ...], Field(strict=False, max_length=MOST_PLANS)] = Field(
        description="Each is a `[[plans]]`."
    )


def _reference_problems(tables: PlansFile) -> Iterable[str]:
    keys = Counter(plan.key for plan in tables.plans)
    yield from (f"[[plans]]: key: {key!r} is there twice" for key, times in keys.items() if times > 1)
    for role in Role:
        named = [plan.key for plan in tables.plans if role.value in plan.default_for]
        if len(named) != 1:
            found = f"it is in {', '.join(named)}" if named else "it is in none"
            yield f"[[plans]]: default_for: {role.value} must be in exactly one plan; {found}"


def _to_plan(table: PlanTable) -> Plan:
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
