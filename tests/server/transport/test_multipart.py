"""Apollo's subscriptions over multipart HTTP."""

from datetime import timedelta

import pytest

from server.graphql import TransportLimits
from tests.server.transport.toy import GOOD, running

SUBSCRIPTION = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0"
# As Apollo Client sends them, with and without a subscription.
ACCEPT = f"{SUBSCRIPTION}, application/graphql-response+json, application/json;q=0.9"
SHORT = timedelta(milliseconds=20)


def part(json: str) -> str:
    return f"\r\n--graphql\r\ncontent-type: application/json\r\n\r\n{json}"


async def test_each_result_is_a_part_that_its_delimiter_follows_at_once() -> None:
    async with running() as toy:
        response = await toy.post("subscription {count(to: 2)}", accept=ACCEPT)
        assert response.headers["content-type"] == SUBSCRIPTION
        assert response.text == (
            part('{"payload":{"data":{"count":0}}}') + part('{"payload":{"data":{"count":1}}}') + "\r\n--graphql--\r\n"
        )


async def test_the_delimiter_comes_with_the_part_and_not_with_the_next_one() -> None:
    async with (
        running() as toy,
        toy.http.stream(
            "POST", "/graphql", json={"query": "subscription {wait}"}, headers={**GOOD, "Accept": ACCEPT}
        ) as response,
    ):
        text = ""
        async for chunk in response.aiter_text():
            text += chunk
            if text.endswith("}}\r\n--graphql"):
                break
        assert text == part('{"payload":{"data":{"wait":0}}}') + "\r\n--graphql"


async def test_a_stream_that_breaks_ends_with_its_errors_and_no_payload() -> None:
    async with running() as toy:
        text = (await toy.post('subscription {breaks(after: 1, how: "id")}', accept=ACCEPT)).text
        assert part('{"payload":null,"errors":[{"message":"There is no such generation.",') in text
        assert text.endswith('"extensions":{"code":"NOT_FOUND"}}]}\r\n--graphql--\r\n')


async def test_a_quiet_stream_sends_empty_parts() -> None:
    async with (
        running(limits=TransportLimits(heartbeat=SHORT)) as toy,
        toy.http.stream(
            "POST", "/graphql", json={"query": "subscription {wait}"}, headers={**GOOD, "Accept": ACCEPT}
        ) as response,
    ):
        text = ""
        async for chunk in response.aiter_text():
            text += chunk
            if text.count(part("{}")) == 2:
                break
    assert text.count(part("{}")) == 2


@pytest.mark.parametrize("query", ["{hello}", "mutation {touch}"])
async def test_what_is_no_subscription_is_answered_in_the_next_best_media_type(query: str) -> None:
    async with running() as toy:
        new, old, none = [
            (await toy.post(query, accept=accept)).headers["content-type"]
            for accept in (ACCEPT, f"{SUBSCRIPTION}, application/json", SUBSCRIPTION)
        ]
        assert new == "application/graphql-response+json; charset=utf-8"
        assert old == none == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("query", "code"), [("subscription {", "PARSE_FAILED"), ("subscription {nothing}", "VALIDATION_FAILED")]
)
async def test_a_bad_document_is_told_without_a_stream(query: str, code: str) -> None:
    async with running() as toy:
        response = await toy.post(query, accept=ACCEPT)
        assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (400, code)
        assert (await toy.post(query, accept=f"{SUBSCRIPTION}, application/json")).status_code == 200


async def test_draining_ends_a_stream_without_the_closing_delimiter() -> None:
    async with (
        running() as toy,
        toy.http.stream(
            "POST", "/graphql", json={"query": "subscription {wait}"}, headers={**GOOD, "Accept": ACCEPT}
        ) as response,
    ):
        chunks = response.aiter_text()
        while "wait" not in await anext(chunks):
            pass
        await toy.transport.drain()
        assert "--graphql--" not in "".join([chunk async for chunk in chunks])
