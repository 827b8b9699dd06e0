"""Who may use which model, and what would be enough."""

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.access import Access, Denial, ModelUnavailableReason
from domain.errors import ModelUnavailable, NotAllowed, NotFound
from domain.model import Model, ModelCapability, ModelKey, Models
from domain.plan import Plan, Plans
from domain.user import Role, Viewer
from domain.world import PlanKey
from tests.domain.fakes import a_viewer

ROLE, PLAN = ModelUnavailableReason.ROLE, ModelUnavailableReason.PLAN


def a_model(key: str, *, retired: bool = False) -> Model:
    return Model(
        key=ModelKey(key),
        provider="here",
        name_at_provider=key,
        display_name=key,
        context_window=1000,
        max_output_tokens=None,
        capabilities=frozenset({ModelCapability.STREAMING}),
        input_price_per_million=Decimal(1),
        output_price_per_million=Decimal(1),
        retired=retired,
    )


def a_plan(key: str, models: set[str] | None, *, roles: set[Role], default_for: set[Role]) -> Plan:
    named = frozenset(map(ModelKey, models)) if models is not None else None
    return Plan(PlanKey(key), key, named, roles=frozenset(roles), default_for=frozenset(default_for))


GUEST = a_plan("guest", {"small"}, roles={Role.GUEST}, default_for={Role.GUEST})
FREE = a_plan("free", {"small", "middle"}, roles={Role.USER, Role.PREMIUM}, default_for={Role.USER})
PLUS = a_plan("plus", {"small", "middle", "large"}, roles={Role.USER, Role.PREMIUM}, default_for=set())
PREMIUM = a_plan("premium", {"large", "huge"}, roles={Role.PREMIUM}, default_for={Role.PREMIUM})
ALL = a_plan("all", None, roles={Role.ADMIN, Role.SERVICE}, default_for={Role.ADMIN, Role.SERVICE})
PLANS = Plans([GUEST, FREE, PLUS, PREMIUM, ALL])
MODELS = [a_model("large"), a_model("small"), a_model("middle"), a_model("huge"), a_model("secret")]


@pytest.fixture
def access() -> Access:
    return Access(Models([*MODELS, a_model("old", retired=True)], {}), PLANS)


def viewer(role: Role, plan: str | None = None) -> Viewer:
    one = a_viewer()
    return replace(one, user=replace(one.user, role=role, plan_key=PlanKey(plan) if plan else None))


@pytest.mark.parametrize(
    ("who", "model", "expected"),
    [
        (None, "small", None),
        (None, "middle", Denial(ROLE, Role.USER, FREE)),
        (viewer(Role.GUEST), "small", None),
        (viewer(Role.GUEST), "large", Denial(ROLE, Role.USER, PLUS)),
        (viewer(Role.GUEST), "huge", Denial(ROLE, Role.PREMIUM, PREMIUM)),
        (viewer(Role.GUEST), "secret", Denial(ROLE)),
        (viewer(Role.USER), "large", Denial(PLAN, required_plan=PLUS)),
        (viewer(Role.USER, "plus"), "large", None),
        (viewer(Role.USER), "huge", Denial(ROLE, Role.PREMIUM, PREMIUM)),
        (viewer(Role.PREMIUM), "huge", None),
        (viewer(Role.PREMIUM), "middle", Denial(PLAN, required_plan=FREE)),
        (viewer(Role.PREMIUM), "secret", Denial(ROLE)),
        (viewer(Role.ADMIN), "secret", None),
        (viewer(Role.SERVICE), "secret", None),
        (viewer(Role.ADMIN), "old", Denial(ModelUnavailableReason.RETIRED)),
    ],
)
def test_what_is_denied_says_what_would_be_enough(
    access: Access, who: Viewer | None, model: str, expected: Denial | None
) -> None:
    found = a_model("old", retired=True) if model == "old" else a_model(model)
    assert access.denial(who, found) == expected


@pytest.mark.parametrize("given", ["nothing", "premium", "all"])
def test_a_plan_that_is_gone_or_not_for_the_role_counts_as_none_given(access: Access, given: str) -> None:
    assert access.plan(viewer(Role.USER, given)) == FREE


def test_the_default_is_the_first_that_is_allowed(access: Access) -> None:
    roles = (Role.GUEST, Role.USER, Role.PREMIUM, Role.ADMIN)
    assert [access.chosen(viewer(role), None).key for role in roles] == ["small", "small", "large", "large"]


def test_a_refusal_names_what_would_be_enough(access: Access) -> None:
    with pytest.raises(NotAllowed) as refused:
        access.chosen(viewer(Role.USER), ModelKey("large"))
    assert (refused.value.required_role, refused.value.required_plan) == (None, PLUS)


def test_of_a_retired_model_the_alternatives_are_those_that_are_allowed(access: Access) -> None:
    with pytest.raises(ModelUnavailable) as refused:
        access.chosen(viewer(Role.USER), ModelKey("old"))
    assert [model.key for model in refused.value.alternatives] == ["small", "middle"]


def test_without_any_model_there_is_nothing_to_choose() -> None:
    with pytest.raises(NotFound):
        Access(Models([], {}), PLANS).chosen(viewer(Role.USER), None)
