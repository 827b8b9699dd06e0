"""Guests: a session needs no account, only so many come from one address on a day, and a setting turns them away."""

import asyncio
from typing import Any

import pytest
import strawberry
from litestar import Litestar

from domain.errors import NotAllowed
from resolvers import node
from server.compose import Gus
from server.models_file import Catalogue
from server.settings import Settings
from tests.graphql.front_end import FrontEnd, script
from tests.graphql.process import process, served
from tests.graphql.rows import unchanged

START = """
mutation {
  startGuestSession {
    __typename
    ... on StartGuestSessionSuccess { token expiresAt user { id displayName role } }
    ... on Refusal { code message retryable retryAfter }
    ... on NotAllowed { requiredRole }
  }
}
"""
WHO = "{viewer {user {id role} apiKeys {id}}}"


async def started(visitor: FrontEnd) -> dict[str, Any]:
    return dict((await visitor.ask(START))["startGuestSession"])


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"guest_sessions_per_day": 3})


async def test_a_visitor_becomes_a_guest_who_converses(visitor: FrontEnd, app: Litestar) -> None:
    session = await started(visitor)
    guest = FrontEnd(app, session["token"])
    assert (session["user"]["role"], session["user"]["displayName"]) == ("GUEST", None)
    assert (await guest.ask(WHO))["viewer"] == {"user": {"id": session["user"]["id"], "role": "GUEST"}, "apiKeys": []}
    assert (await guest.said(script(words=1)))["__typename"] == "SendMessageSuccess"


async def test_guests_are_strangers_to_each_other(visitor: FrontEnd, app: Litestar) -> None:
    one, other = FrontEnd(app, (await started(visitor))["token"]), FrontEnd(app, (await started(visitor))["token"])
    sent = await one.said(script(words=1))
    asked = "query($id: ID!) {conversation(id: $id) {id}}"
    assert await other.ask(asked, id=sent["conversation"]["id"]) == {"conversation": None}


async def test_a_guest_has_no_keys(visitor: FrontEnd, app: Litestar) -> None:
    guest = FrontEnd(app, (await started(visitor))["token"])
    make = 'mutation {createApiKey(input: {name: "x"}) {... on NotAllowed {code requiredRole}}}'
    assert (await guest.ask(make))["createApiKey"] == {"code": "NOT_ALLOWED", "requiredRole": "USER"}


async def test_only_so_many_sessions_start_from_an_address_on_a_day_whatever_the_race(
    visitor: FrontEnd, gus: Gus
) -> None:
    answers = await asyncio.gather(*(started(visitor) for _ in range(10)))
    assert sorted(answer["__typename"] for answer in answers) == ["NotAllowed"] * 7 + ["StartGuestSessionSuccess"] * 3
    refused = await unchanged(gus, started(visitor))
    assert (refused["code"], refused["retryable"], refused["requiredRole"]) == ("NOT_ALLOWED", True, "USER")
    assert 0 < refused["retryAfter"] <= 86_400
    await gus.database.execute("UPDATE guest_days SET day = day - 1")
    assert (await started(visitor))["__typename"] == "StartGuestSessionSuccess"


async def test_where_a_guest_comes_from_is_kept_as_a_digest_that_is_the_address_s(visitor: FrontEnd, gus: Gus) -> None:
    ids = [node.uuid_of("User", (await started(visitor))["user"]["id"]) for _ in range(2)]
    [row] = await gus.database.fetch("SELECT DISTINCT address_digest FROM users WHERE id = ANY($1)", ids)
    [day] = await gus.database.fetch("SELECT * FROM guest_days")
    assert (len(row["address_digest"]), day["address_digest"], day["sessions"]) == (32, row["address_digest"], 2)


async def test_the_addresses_of_one_client_s_ipv6_network_count_as_one(gus: Gus) -> None:
    for address in ("2001:db8::1", "2001:db8::2", "2001:db8::ffff:1"):
        await gus.services.guests.start(address)
    with pytest.raises(NotAllowed):
        await gus.services.guests.start("2001:db8:0:0:9::1")
    await gus.services.guests.start("2001:db8:0:1::1")


async def test_days_that_are_over_are_forgotten(visitor: FrontEnd, gus: Gus) -> None:
    await started(visitor)
    await gus.database.execute("UPDATE guest_days SET day = day - 1")
    await started(visitor)
    assert await gus.services.guests.forget_days() == 1
    [row] = await gus.database.fetch("SELECT count(*) FROM guest_days")
    assert row["count"] == 1


async def test_a_server_may_take_no_guests(
    database_url: str, settings: Settings, catalogue: Catalogue, built: strawberry.Schema
) -> None:
    closed = settings.model_copy(update={"guests": False})
    async with process(database_url, closed, catalogue) as gus:
        refused = await unchanged(gus, started(FrontEnd(served(gus, built), None)))
        assert (refused["code"], refused["retryable"], refused["requiredRole"]) == ("NOT_ALLOWED", False, "USER")
