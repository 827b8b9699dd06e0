"""Admins give roles and plans, and find people."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar

from domain.user import Role, Viewer
from resolvers import node
from server.compose import Gus
from server.settings import Settings
from tests.graphql.documents import PUBLISH, SET_PLAN, SET_ROLE
from tests.graphql.front_end import FrontEnd
from tests.graphql.ids import MALFORMED, UNKNOWN
from tests.graphql.rows import unchanged
from tests.graphql.sockets import opened

ME = "{viewer {user {id role plan {key}}}}"
USERS = """
query($named: String, $first: Int, $after: String) {
  admin {users(query: $named, first: $first, after: $after) {nodes {displayName role plan {key}} pageInfo {endCursor hasNextPage}}}
}
"""
ONLY_ADMINS = {"__typename": "NotAllowed", "code": "NOT_ALLOWED", "message": "Only an admin may do this."}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"plans": Path(__file__).with_name("plans.toml")})


async def me(front_end: FrontEnd) -> dict[str, Any]:
    return dict((await front_end.ask(ME))["viewer"]["user"])


async def role_set(admin: FrontEnd, user: str, role: str) -> dict[str, Any]:
    return dict((await admin.ask(SET_ROLE, user=user, role=role))["setUserRole"])


async def plan_set(admin: FrontEnd, user: str, plan: str) -> dict[str, Any]:
    return dict((await admin.ask(SET_PLAN, user=user, plan=plan))["setUserPlan"])


async def test_a_role_is_there_with_the_next_operation(grace: FrontEnd, ada: FrontEnd) -> None:
    mine = await me(ada)
    answer = await role_set(grace, mine["id"], "PREMIUM")
    assert answer == {
        "__typename": "SetUserRoleSuccess",
        "user": {"id": mine["id"], "role": "PREMIUM", "plan": {"key": "premium"}},
    }
    assert await me(ada) == answer["user"]


async def test_a_demotion_bites_with_the_next_operation_also_of_an_open_socket(
    grace: FrontEnd, ada: FrontEnd, app: Litestar, gus: Gus
) -> None:
    other = await gus.services.users.create_user("Linus", Role.ADMIN)
    secret = (await gus.services.users.issue_key(other.id, "first", can_manage=False)).secret
    publication = {"input": {"scope": "PLATFORM", "text": "Rhyme.", "expectedVersion": 0}}
    async with opened(app, secret) as client:
        assert await client.receive() == {"type": "connection_ack"}
        await client.subscribe("{admin {__typename}}", id="1")
        assert (await client.receive())["payload"]["data"] == {"admin": {"__typename": "Admin"}}
        await client.receive()
        await role_set(grace, node.encode("User", other.id), "USER")
        await client.subscribe(PUBLISH, id="2", variables=publication)
        answer = (await client.receive())["payload"]["data"]["publishInstruction"]
        assert {**answer, **ONLY_ADMINS} == answer


async def test_the_last_admin_stays_one(grace: FrontEnd, gus: Gus) -> None:
    mine = (await me(grace))["id"]
    refused = await unchanged(gus, role_set(grace, mine, "USER"))
    [problem] = refused["problems"]
    assert (refused["__typename"], problem["rule"], problem["path"]) == ("InvalidInput", "WRONG_ROLE", ["role"])
    assert (await role_set(grace, mine, "ADMIN"))["user"]["role"] == "ADMIN"
    banned = await gus.services.users.create_user("Linus", Role.ADMIN)
    await gus.services.accounts.ban(banned.id, None)
    assert (await role_set(grace, mine, "USER"))["__typename"] == "InvalidInput"
    await gus.services.accounts.unban(banned.id)
    assert (await role_set(grace, mine, "USER"))["user"]["role"] == "USER"


async def test_of_all_admins_that_are_demoted_at_once_one_stays(grace: FrontEnd, gus: Gus) -> None:
    admins = [await gus.services.users.create_user("Linus", Role.ADMIN) for _ in range(9)]
    ids = [node.encode("User", admin.id) for admin in admins] + [(await me(grace))["id"]]
    # Beyond the check of who asks, which most of them would lose to their own demotion.
    asking = Viewer(admins[0], None)
    sets = (gus.services.accounts.set_role(asking, node.user_id(id), Role.USER) for id in ids)
    answers = await asyncio.gather(*sets, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["InvalidInput"] + ["User"] * 9
    [left] = await gus.database.fetch("SELECT count(*) FROM users WHERE role = 'ADMIN'")
    assert left["count"] == 1


async def test_a_plan_is_given_to_whom_it_is_for(grace: FrontEnd, ada: FrontEnd, gus: Gus) -> None:
    mine = (await me(ada))["id"]
    assert (await plan_set(grace, mine, "plus"))["user"] == {"id": mine, "role": "USER", "plan": {"key": "plus"}}
    assert (await me(ada))["plan"] == {"key": "plus"}
    for plan, rule in (("premium", "WRONG_ROLE"), ("nothing", "UNKNOWN_VALUE")):
        refused = await unchanged(gus, plan_set(grace, mine, plan))
        [problem] = refused["problems"]
        assert (problem["rule"], problem["path"]) == (rule, ["plan"])
    await role_set(grace, mine, "GUEST")
    assert (await me(ada))["plan"] == {"key": "guest"}


async def test_nobody_is_not_found(grace: FrontEnd, gus: Gus) -> None:
    for user in (UNKNOWN["User"], *MALFORMED):
        assert (await unchanged(gus, role_set(grace, user, "USER")))["path"] == ["user"]
        assert (await unchanged(gus, plan_set(grace, user, "plus")))["path"] == ["user"]


@pytest.mark.parametrize("user", ["own", "unknown"])
async def test_others_change_nobody(ada: FrontEnd, gus: Gus, user: str) -> None:
    named = {"own": (await me(ada))["id"], "unknown": UNKNOWN["User"]}[user]
    for answer in (
        await unchanged(gus, role_set(ada, named, "ADMIN")),
        await unchanged(gus, plan_set(ada, named, "plus")),
    ):
        assert {**answer, **ONLY_ADMINS} == answer
    assert await ada.ask(USERS) == {"admin": None}


async def test_people_are_found_by_a_part_of_their_name_or_their_id(
    grace: FrontEnd, ada: FrontEnd, bob: FrontEnd, gus: Gus
) -> None:
    async def found(query: str | None) -> list[str]:
        nodes = (await grace.ask(USERS, named=query))["admin"]["users"]["nodes"]
        return [node["displayName"] for node in nodes]

    assert sorted(await found(None)) == ["Ada", "Bob", "Grace"]
    assert await found("AD") == ["Ada"]
    mine = (await me(ada))["id"]
    assert await found(mine) == await found(str(node.user_id(mine))) == ["Ada"]
    for nobody in ("%", "_", "x" * 10_000, "\0", UNKNOWN["User"]):
        assert await found(nobody) == []


async def test_people_come_in_pages_newest_first_by_one_statement(grace: FrontEnd, gus: Gus) -> None:
    made = [await gus.services.users.create_user(f"user {number}", Role.USER) for number in range(5)]
    names = [user.display_name for user in sorted(made, key=lambda user: user.id, reverse=True)]
    page, statements = await grace.counted(USERS, named="user", first=3)
    assert len(statements) == 1
    users = page["admin"]["users"]
    assert [user["displayName"] for user in users["nodes"]] == names[:3]
    assert users["nodes"][0] == {"displayName": names[0], "role": "USER", "plan": {"key": "free"}}
    rest = await grace.ask(USERS, named="user", first=3, after=users["pageInfo"]["endCursor"])
    assert [user["displayName"] for user in rest["admin"]["users"]["nodes"]] == names[3:]
    assert rest["admin"]["users"]["pageInfo"]["hasNextPage"] is False
    assert await grace.refused(USERS, after="nonsense") == ["BAD_PAGE"]
