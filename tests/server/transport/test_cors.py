"""Pages of other origins."""

import pytest

from tests.server.transport.toy import GOOD, running

PAGE = "https://app.example"
ALLOWED = frozenset({PAGE})
ASKED = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}


@pytest.mark.parametrize("allowed", [ALLOWED, frozenset({"*"})])
async def test_an_allowed_page_is_told_before_what_it_may_send_and_then_may_read(allowed: frozenset[str]) -> None:
    async with running(allowed_origins=allowed) as toy:
        asked = {**ASKED, "Access-Control-Request-Headers": "authorization,content-type,x-app"}
        preflight = await toy.http.options("/graphql", headers=asked)
        answer = await toy.http.post("/graphql", json={"query": "{hello}"}, headers={**GOOD, "Origin": PAGE})
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == PAGE
        assert preflight.headers["access-control-allow-headers"] == "authorization,content-type,x-app"
        assert preflight.headers["access-control-allow-methods"] == "GET, POST"
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert {"Accept", "Origin"} <= set(", ".join(answer.headers.get_list("vary")).split(", "))


async def test_refusals_and_streams_can_be_read_too() -> None:
    async with running(allowed_origins=ALLOWED) as toy:
        headers = {"Origin": PAGE, "Accept": "text/event-stream"}
        refused = await toy.http.post("/graphql", json={"query": "subscription {count}"}, headers=headers)
        stream = await toy.http.post("/graphql", json={"query": "subscription {count}"}, headers={**GOOD, **headers})
        told = [response.headers.get("access-control-allow-origin") for response in (refused, stream)]
        assert (refused.status_code, stream.status_code, told) == (401, 200, [PAGE, PAGE])
        assert "WWW-Authenticate" in refused.headers["access-control-expose-headers"]


async def test_no_page_is_given_leave_to_send_cookies() -> None:
    async with running(allowed_origins=frozenset({"*"})) as toy:
        preflight = await toy.http.options("/graphql", headers=ASKED)
        assert "access-control-allow-credentials" not in preflight.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{PAGE}.evil", PAGE.upper()])
async def test_other_pages_are_given_no_leave(origin: str) -> None:
    async with running(allowed_origins=ALLOWED) as toy:
        preflight = await toy.http.options("/graphql", headers={**ASKED, "Origin": origin})
        answer = await toy.http.post("/graphql", json={"query": "{hello}"}, headers={**GOOD, "Origin": origin})
        told = {name for response in (preflight, answer) for name in response.headers}
        assert not [name for name in told if name.startswith("access-control")]


async def test_an_options_that_is_no_preflight_is_405() -> None:
    async with running(allowed_origins=ALLOWED) as toy:
        response = await toy.http.options("/graphql")
        assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")
