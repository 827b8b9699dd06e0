from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from domain.plan import Plan
from domain.quota.counter import LimitInForce, Override, Payer, in_force
from domain.quota.limit import PlanLimit, QuotaMetric, QuotaScope, QuotaWindow
from domain.user import Role, User
from domain.world import PlanKey, UserId
from tests.domain.fakes import NOW

MESSAGES, DAY = QuotaMetric.MESSAGES, QuotaWindow.DAY
GUEST = User(UserId(UUID(int=7)), None, Role.GUEST, NOW, address_digest=bytes(range(32)))


ADDRESS = UUID(bytes=bytes(range(16)))


def test_guests_of_one_address_share_its_counters_and_have_counters_of_their_own() -> None:
    other = replace(GUEST, id=UserId(UUID(int=8)))
    assert _payer(GUEST).address == _payer(other).address == ADDRESS
    assert (_payer(GUEST).subject, _payer(other).subject) == (GUEST.id, other.id)


def test_a_guest_who_became_a_user_shares_nothing() -> None:
    assert _payer(replace(GUEST, role=Role.USER)).address is None


def test_a_guest_is_held_to_his_own_limits_and_to_those_of_his_address() -> None:
    own, shared = PlanLimit(MESSAGES, DAY, hard=Decimal(5)), PlanLimit(MESSAGES, DAY, hard=Decimal(9))
    plan = Plan(PlanKey("any"), "Any", limits=(own,), address_limits=(shared,))
    found = in_force(_payer(GUEST), plan, ())
    assert found == [
        LimitInForce(QuotaScope.USER, GUEST.id, own),
        LimitInForce(QuotaScope.PLAN, ADDRESS, shared),
    ]
    assert in_force(_payer(replace(GUEST, role=Role.USER)), plan, ()) == [LimitInForce(QuotaScope.PLAN, GUEST.id, own)]


def test_what_is_set_for_a_plan_is_each_guests_own() -> None:
    less = PlanLimit(MESSAGES, DAY, hard=Decimal(1))
    plan = Plan(PlanKey("any"), "Any", limits=(PlanLimit(MESSAGES, DAY, hard=Decimal(5)),))
    set_for_plan = Override(QuotaScope.PLAN, "any", less)
    assert in_force(_payer(GUEST), plan, [set_for_plan]) == [LimitInForce(QuotaScope.USER, GUEST.id, less)]


def _payer(user: User) -> Payer:
    return Payer(user, None, PlanKey("any"))
