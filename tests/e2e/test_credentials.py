"""Without a key there is no answer; a key that is revoked ends what was opened with it."""

import asyncio
import time
from collections.abc import AsyncGenerator

import pytest

from tests.e2e.client import Client, Cut, Event
from tests.e2e.scripted import script
from tests.e2e.served import Served

TALKATIVE = script(words=1500, delay_ms=20)
MAKE_KEY = (
    'mutation { createApiKey(input: {name: "for a while"}) { ... on CreateApiKeySuccess { secret apiKey { id } } } }'
)
REVOKE = "mutation($id: ID!) { revokeApiKey(apiKey: $id) { __typename } }"
REVOKED = {"__typename": "RevokeApiKeySuccess"}
CONVERSATIONS = "{ viewer { conversations { nodes { id } } } }"


@pytest.mark.parametrize("key", ["gus_0000000000000000000000000000", "nonsense"])
async def test_a_request_with_a_bad_key_is_401(served_elsewhere: Served, key: str) -> None:
    async with served_elsewhere.client(key) as client:
        answer = await client.post(CONVERSATIONS)
    assert (answer.status_code, _codes(answer.json())) == (401, ["UNAUTHENTICATED"])


async def test_a_request_without_a_key_is_401_but_for_what_is_open_to_all(served_elsewhere: Served) -> None:
    async with Client(served_elsewhere.origin, None) as visitor:
        answer = await visitor.post('mutation { stopGeneration(generation: "x") { __typename } }')
        assert (answer.status_code, _codes(answer.json())) == (401, ["UNAUTHENTICATED"])
        assert (await visitor.ask("{ viewer { id } models { key } }"))["viewer"] is None


@pytest.mark.parametrize("key", [None, "gus_0000000000000000000000000000"])
async def test_a_socket_without_a_good_key_is_closed_with_4403(client: Client, key: str | None) -> None:
    async with client.socket() as socket:
        with pytest.raises(Cut) as cut:
            await socket.initialise(key)
    assert cut.value.code == 4403


async def test_a_subscription_before_the_init_closes_the_socket_with_4401(client: Client) -> None:
    async with client.socket() as socket:
        await socket.subscribe("1", "R2VuZXJhdGlvbjox")
        assert await socket.closed() == 4401


async def test_a_revoked_key_loses_what_was_opened_with_it_within_ten_seconds(
    client: Client, served_elsewhere: Served
) -> None:
    made = (await client.ask(MAKE_KEY))["createApiKey"]
    sent = await client.send(TALKATIVE, longest=1500)
    async with served_elsewhere.client(made["secret"]) as lent, lent.socket() as idle:
        await idle.initialise(lent.key)
        followers = [lent.follow_ws(sent.generation), lent.follow_sse(sent.generation)]
        for events in followers:
            await anext(events)
        assert (await client.ask(REVOKE, {"id": made["apiKey"]["id"]}))["revokeApiKey"] == REVOKED
        revoked_at = time.monotonic()
        ends = await asyncio.gather(idle.closed(), *map(_end, followers))
        assert ends == [4401, 4401, "UNAUTHENTICATED"]
        assert time.monotonic() - revoked_at < 10
    await client.stop(sent.generation)


async def _end(events: AsyncGenerator[Event, None]) -> int | str | None:
    with pytest.raises(Cut) as cut:
        async for _ in events:
            pass
    return cut.value.code


def _codes(answer: dict[str, list[dict[str, dict[str, str]]]]) -> list[str]:
    return [error["extensions"]["code"] for error in answer["errors"]]
