"""Whatever its run is doing, a connection that has nothing to say is kept: proxies cut what is silent for a minute."""

from datetime import timedelta

import httpx
import pytest
import strawberry
from litestar import Litestar

from server.compose import Gus
from server.graphql import TransportLimits
from tests.graphql.front_end import FrontEnd, script
from tests.graphql.process import new_user
from tests.graphql.process import served as served_by
from tests.graphql.sockets import opened
from tests.graphql.test_queue import HANGS, SCARCE, started, told_its_place
from tests.server.transport.toy import served

OFTEN = TransportLimits(heartbeat=timedelta(milliseconds=20))
EVENTS = "subscription($id: ID!) {generationEvents(generation: $id) {__typename}}"

# `thinking`: its model has been asked, and says nothing.
WAITING = pytest.mark.parametrize(
    ("waiting", "last"), [("queued", "GenerationQueued"), ("thinking", "GenerationStarted")], indirect=["waiting"]
)


@pytest.fixture
async def secret(gus: Gus) -> str:
    return await new_user(gus, "Eve", can_manage=False)


@pytest.fixture
async def waiting(gus: Gus, app: Litestar, secret: str, request: pytest.FixtureRequest) -> str:
    """Its id."""
    eve = FrontEnd(app, secret)
    thinking = await eve.send(HANGS, **SCARCE)
    await started(eve, thinking)
    if request.param == "thinking":
        return str(thinking["generation"]["id"])
    queued = await eve.send(script(words=1), **SCARCE)
    await told_its_place(eve, queued, 1)
    return str(queued["generation"]["id"])


@WAITING
async def test_a_socket_is_pinged(gus: Gus, built: strawberry.Schema, secret: str, waiting: str, last: str) -> None:
    async with opened(served_by(gus, built, limits=OFTEN), secret) as client:
        await client.receive()
        await client.subscribe(EVENTS, variables={"id": waiting})
        while (said := await client.receive())["type"] != "next":
            continue
        assert said["payload"]["data"]["generationEvents"]["__typename"] == last
        assert [await client.receive(), await client.receive()] == [{"type": "ping"}, {"type": "ping"}]


@WAITING
async def test_an_event_stream_has_comments(
    gus: Gus, built: strawberry.Schema, secret: str, waiting: str, last: str
) -> None:
    headers = {"Authorization": f"Bearer {secret}", "Accept": "text/event-stream"}
    body = {"query": EVENTS, "variables": {"id": waiting}}
    async with (
        served(served_by(gus, built, limits=OFTEN)) as url,
        httpx.AsyncClient(headers=headers) as client,
        client.stream("POST", f"{url}/graphql", json=body) as response,
    ):
        lines = response.aiter_lines()
        while last not in (line := await anext(lines)):
            assert "GenerationFinished" not in line
        quiet = [await anext(lines) for _ in range(5)]
    assert quiet == ["", ":", "", ":", ""]
