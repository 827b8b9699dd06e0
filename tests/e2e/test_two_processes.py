"""Two processes on one database are one server."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import uuid4

import pytest

from tests.e2e.client import Client, played
from tests.e2e.scripted import Scripted, script
from tests.e2e.served import Served

Pair = tuple[Client, Client]


@pytest.fixture
async def clients(served_elsewhere: Served, mortal: Served) -> AsyncIterator[Pair]:
    mortal.start_again()
    async with served_elsewhere.client() as here, mortal.client() as there:
        yield here, there


async def test_twenty_sends_with_one_key_are_one_run(clients: Pair, scripted: Scripted) -> None:
    id, key = uuid4().hex, str(uuid4())
    question = script(id=id, words=30, delay_ms=20)
    sends = await asyncio.gather(*(client.send(question, key=key) for client in clients * 10))
    await asyncio.gather(*(_text(client, sends[0].generation) for client in clients))

    assert len({(sent.conversation, sent.reply, sent.generation) for sent in sends}) == 1
    assert Counter(sent.replayed for sent in sends) == {False: 1, True: 19}
    assert len(scripted.requests(id)) == 1
    assert [role for role, _, _ in await clients[0].path(sends[0].conversation)] == ["USER", "ASSISTANT"]


async def test_a_run_is_followed_at_the_other_process(clients: Pair) -> None:
    here, there = clients
    sent = await here.send(script(words=60, delay_ms=30))
    read_here, read_there = await asyncio.gather(_text(here, sent.generation), _text(there, sent.generation))
    assert read_here == read_there
    assert len(read_here.split()) == 60


async def test_a_run_is_stopped_at_the_other_process(clients: Pair, scripted: Scripted) -> None:
    here, there = clients
    id = uuid4().hex
    sent = await here.send(script(id=id, words=1000, delay_ms=20))
    async with aclosing(here.follow_ws(sent.generation)) as events:
        read = [await anext(events) for _ in range(5)]
        asked_at = time.monotonic()
        await there.stop(sent.generation)
        left = await scripted.wait_for(id, lambda request: request["disconnected_at"] is not None)
        read += [event async for event in events]
    assert left["disconnected_at"] - asked_at < 1
    assert (read[-1].status, read[-1].reply_text) == ("STOPPED", played(read))


async def _text(client: Client, generation: str) -> str:
    return played([event async for event in client.follow_ws(generation)])
