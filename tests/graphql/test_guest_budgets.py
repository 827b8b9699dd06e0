"""What guests may take: each for himself, and all of one address together, whatever sessions they start."""

from pathlib import Path

import pytest
from litestar import Litestar

from server.compose import Gus
from server.settings import Settings
from tests.graphql.front_end import FrontEnd, script
from tests.graphql.limits import assert_settled, limit, quotas
from tests.graphql.rows import unchanged

PLANS = """
[[plans]]
key = "guest"
name = "Guest"
roles = ["GUEST"]
default_for = ["GUEST"]
limits = [{metric = "MESSAGES", window = "DAY", hard = 2}]
address_limits = [
  {metric = "MESSAGES", window = "DAY", soft = 2, hard = 3},
  {metric = "CONCURRENT_GENERATIONS", window = "INSTANT", hard = 1},
]

[[plans]]
key = "free"
name = "Free"
default_for = ["USER", "PREMIUM", "ADMIN", "SERVICE"]
"""
START = "mutation {startGuestSession {... on StartGuestSessionSuccess {token}}}"


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    file = tmp_path / "plans.toml"
    file.write_text(PLANS)
    return settings.model_copy(update={"plans": file})


async def a_guest(visitor: FrontEnd, app: Litestar) -> FrontEnd:
    return FrontEnd(app, (await visitor.ask(START))["startGuestSession"]["token"])


async def taken(guest: FrontEnd) -> dict[tuple[str, str], str]:
    """By scope and metric."""
    return {(quota["scope"], quota["metric"]): quota["used"] for quota in await quotas(guest)}


async def test_a_guest_has_a_budget_of_his_own_and_his_address_has_one(
    visitor: FrontEnd, app: Litestar, gus: Gus
) -> None:
    one, other = [await a_guest(visitor, app) for _ in range(2)]
    for _ in range(2):
        await one.said(script(words=1))
    shared = {("PLAN", "MESSAGES"): "2", ("PLAN", "CONCURRENT_GENERATIONS"): "0"}
    assert await taken(one) == {("USER", "MESSAGES"): "2", **shared}
    assert await taken(other) == {("USER", "MESSAGES"): "0", **shared}
    refused = await unchanged(gus, one.send("Hi"))
    assert (refused["quota"]["scope"], refused["quota"]["hardLimit"]) == ("USER", "2")
    await other.said(script(words=1))
    refused = await unchanged(gus, other.send("Hi"))
    assert (refused["quota"]["scope"], refused["quota"]["hardLimit"], refused["quota"]["used"]) == ("PLAN", "3", "3")
    assert await taken(other) == {
        ("USER", "MESSAGES"): "1",
        ("PLAN", "MESSAGES"): "3",
        ("PLAN", "CONCURRENT_GENERATIONS"): "0",
    }
    await assert_settled(gus.database)


async def test_a_new_session_does_not_renew_what_its_address_has(visitor: FrontEnd, app: Litestar, gus: Gus) -> None:
    for _ in range(3):
        await (await a_guest(visitor, app)).said(script(words=1))
    late = await a_guest(visitor, app)
    assert (await unchanged(gus, late.send("Hi")))["quota"]["scope"] == "PLAN"
    await gus.database.execute("UPDATE quota_windows SET starts_at = starts_at - interval '1 day' WHERE span = 'DAY'")
    assert (await late.said(script(words=1)))["__typename"] == "SendMessageSuccess"


async def test_the_soft_limit_of_an_address_is_told_once(visitor: FrontEnd, app: Litestar) -> None:
    asked = """
    mutation($input: SendMessageInput!) {
      sendMessage(input: $input) { ... on SendMessageSuccess { generation { id } notices { code quota { scope } } } }
    }
    """
    told = []
    for key in "abc":
        guest = await a_guest(visitor, app)
        sent = (await guest.ask(asked, input={"text": script(words=1), "idempotencyKey": key}))["sendMessage"]
        await guest.followed(sent["generation"]["id"])
        told.append(sent["notices"])
    assert told == [[], [], [{"code": "SOFT_LIMIT", "quota": {"scope": "PLAN"}}]]


async def test_the_replies_of_one_address_are_counted_together_too(visitor: FrontEnd, app: Litestar, gus: Gus) -> None:
    one, other = [await a_guest(visitor, app) for _ in range(2)]
    sent = await one.send(script(words=9, after=3, fault="hang_between"))
    await one.heard(sent["generation"]["id"])
    refused = await unchanged(gus, other.send("Hi"))
    assert (refused["__typename"], refused["active"], refused["limit"], refused["generations"]) == (
        "TooManyGenerations",
        1,
        1,
        [],
    )
    await one.stop(sent["generation"]["id"])
    await one.followed(sent["generation"]["id"])
    await other.said(script(words=1))


async def test_what_an_admin_sets_for_the_plan_is_each_guests_own(
    visitor: FrontEnd, app: Litestar, grace: FrontEnd, gus: Gus
) -> None:
    await limit(grace, "MESSAGES", "DAY", "1", plan="guest")
    one, other = [await a_guest(visitor, app) for _ in range(2)]
    await one.said(script(words=1))
    assert (await unchanged(gus, one.send("Hi")))["quota"]["scope"] == "USER"
    await other.said(script(words=1))


async def test_users_of_the_same_address_are_held_to_nothing_of_it(ada: FrontEnd) -> None:
    assert await taken(ada) == {}
