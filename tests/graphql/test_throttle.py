"""The edge: 429 before anything is looked into, by address and by credential, over requests and over sockets."""

import json
from typing import Any

import httpx
import pytest
import strawberry
from litestar import Litestar
from websockets.exceptions import InvalidStatus

from server.compose import Gus
from server.throttle import Allowances
from tests.graphql.front_end import FrontEnd
from tests.graphql.process import new_user, served
from tests.graphql.sockets import opened

ASK = "{viewer {id}}"
MANY = 1_000_000
NOT_JSON = b"{"


@pytest.fixture
async def secret(gus: Gus) -> str:
    return await new_user(gus, "Ada", can_manage=False)


async def posted(
    app: Litestar, secret: str | None = None, *, body: bytes | None = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    sent = {"Content-Type": "application/json", **(headers or {})}
    if secret:
        sent["Authorization"] = f"Bearer {secret}"
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar's ASGI types are narrower
    async with httpx.AsyncClient(transport=transport, base_url="http://gus") as client:
        return await client.post("/graphql", content=body or json.dumps({"query": ASK}), headers=sent)


async def test_what_is_too_much_is_429_with_a_code_before_it_is_read(gus: Gus, built: strawberry.Schema) -> None:
    app = served(gus, built, Allowances(2, MANY, MANY))
    assert [(await posted(app)).status_code for _ in range(2)] == [200, 200]
    refused = await posted(app, body=NOT_JSON)
    [error] = refused.json()["errors"]
    assert (refused.status_code, error["extensions"]["code"]) == (429, "THROTTLED")
    assert 0 < error["extensions"]["retryAfter"] <= int(refused.headers["Retry-After"]) <= 120
    assert refused.headers["RateLimit-Policy"].startswith('"address";q=2;w=60, ')
    assert refused.headers["RateLimit"].startswith('"address";r=0;t=')


async def test_a_credential_has_an_allowance_of_its_own_good_or_not(
    gus: Gus, built: strawberry.Schema, secret: str
) -> None:
    app = served(gus, built, Allowances(MANY, 2, MANY))
    assert [(await posted(app, secret)).status_code for _ in range(3)] == [200, 200, 429]
    assert [(await posted(app, "gus_guess")).status_code for _ in range(3)] == [401, 401, 429]
    assert (await posted(app, body=None, headers={"Authorization": f"bearer  {secret}"})).status_code == 429
    assert (await posted(app)).status_code == 200


async def test_every_answer_says_what_is_left(gus: Gus, built: strawberry.Schema, secret: str) -> None:
    app = served(gus, built, Allowances(100, 50, MANY))
    answer = await posted(app, secret)
    policies = '"address";q=100;w=60, "credential";q=50;w=60, "cost";q=1000000;w=60'
    assert answer.headers["RateLimit-Policy"] == policies
    left = [item.split(";")[:2] for item in answer.headers["RateLimit"].split(", ")]
    assert left == [['"address"', "r=99"], ['"credential"', "r=49"], ['"cost"', "r=999998"]]


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream", "application/nonsense"])
async def test_streams_and_failures_say_it_too(gus: Gus, built: strawberry.Schema, secret: str, accept: str) -> None:
    app = served(gus, built, Allowances(100, 50, MANY))
    body = json.dumps({"query": "subscription {nonsense}"}).encode()
    answer = await posted(app, secret, body=body, headers={"Accept": accept})
    assert answer.headers["RateLimit"].startswith('"address";r=99;t=')


async def test_an_operation_is_charged_what_it_may_resolve(gus: Gus, built: strawberry.Schema, secret: str) -> None:
    front_end = FrontEnd(served(gus, built, Allowances(MANY, MANY, 60_000)), secret)
    big = "{rateLimit {limit cost remaining resetAt} models {key}}"
    answer = await front_end.answer(big)
    told = answer["data"]["rateLimit"]
    assert (told["limit"], told["cost"], told["remaining"]) == (60_000, 16, 59_984)
    cost = {"requested": 16, "limit": 60_000, "remaining": 59_984, "resetAt": told["resetAt"]}
    assert answer["extensions"] == {"cost": cost}


async def test_what_costs_more_than_is_left_is_throttled_and_takes_nothing(
    gus: Gus, built: strawberry.Schema, secret: str
) -> None:
    front_end = FrontEnd(served(gus, built, Allowances(MANY, MANY, 20)), secret)
    dear, cheap = "{models {key provider}}", "{rateLimit {remaining}}"
    assert await front_end.refused(dear) == ["THROTTLED"]
    assert (await front_end.ask(cheap))["rateLimit"] == {"remaining": 18}


async def test_a_handshake_too_many_is_429(gus: Gus, built: strawberry.Schema, secret: str) -> None:
    app = served(gus, built, Allowances(1, MANY, MANY))
    async with opened(app, None):
        with pytest.raises(InvalidStatus) as refused:
            async with opened(app, None):
                pass
    response = refused.value.response
    assert (response.status_code, json.loads(response.body)["errors"][0]["extensions"]["code"]) == (429, "THROTTLED")
    assert int(response.headers["Retry-After"]) > 0
    assert response.headers["RateLimit"].startswith('"address";r=0;t=')


@pytest.mark.parametrize(
    "allowances", [Allowances(MANY, 2, MANY), Allowances(3, MANY, MANY), Allowances(MANY, MANY, 4)]
)
async def test_an_operation_too_many_on_a_socket_fails_alone(
    gus: Gus, built: strawberry.Schema, secret: str, allowances: Allowances
) -> None:
    async with opened(served(gus, built, allowances), secret) as client:
        assert await client.receive() == {"type": "connection_ack"}
        for number in range(2):
            await client.subscribe(ASK, id=str(number))
            assert [(await client.receive())["type"] for _ in range(2)] == ["next", "complete"]
        await client.subscribe(ASK, id="2")
        error: dict[str, Any] = await client.receive()
        assert (error["id"], error["type"], error["payload"][0]["extensions"]["code"]) == ("2", "error", "THROTTLED")
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}


async def test_behind_a_trusted_proxy_each_client_has_an_allowance(gus: Gus, built: strawberry.Schema) -> None:
    app = served(gus, built, Allowances(1, MANY, MANY), trusted_proxies=["127.0.0.1"])
    clients = ["203.0.113.1", "203.0.113.2", "203.0.113.1"]
    asked = [(await posted(app, headers={"X-Forwarded-For": client})).status_code for client in clients]
    assert asked == [200, 200, 429]


async def test_one_network_of_ipv6_is_one_client(gus: Gus, built: strawberry.Schema) -> None:
    app = served(gus, built, Allowances(1, MANY, MANY), trusted_proxies=["127.0.0.1"])
    clients = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]
    asked = [(await posted(app, headers={"X-Forwarded-For": client})).status_code for client in clients]
    assert asked == [200, 429, 200]
