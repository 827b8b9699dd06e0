from dataclasses import replace
from uuid import UUID

from domain.quota.counter import Payer
from domain.user import Role, User
from domain.world import PlanKey, UserId
from tests.domain.fakes import NOW

GUEST = User(UserId(UUID(int=7)), None, Role.GUEST, NOW, address_digest=bytes(range(32)))


def test_guests_of_one_address_share_its_counters() -> None:
    other = replace(GUEST, id=UserId(UUID(int=8)))
    assert _payer(GUEST).subject == _payer(other).subject == UUID(bytes=bytes(range(16)))


def test_a_guest_who_became_a_user_has_counters_of_his_own() -> None:
    assert _payer(replace(GUEST, role=Role.USER)).subject == GUEST.id


def _payer(user: User) -> Payer:
    return Payer(user, None, PlanKey("any"))
