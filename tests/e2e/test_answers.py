"""A question is answered: by the embedded model out of the embedded database, and by parts that are served elsewhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from tests.e2e.client import Client, Event, Follow, Sent, played
from tests.e2e.conftest import Flavour

BOTH_WAYS = pytest.mark.parametrize("follow", [Client.follow_ws, Client.follow_sse])
SHORT = 40


@pytest.fixture
async def client(flavour: Flavour) -> AsyncIterator[Client]:
    async with flavour.served.client() as client:
        yield client


@pytest.fixture
async def sent(client: Client, flavour: Flavour) -> Sent:
    return await client.send(flavour.question, longest=SHORT)


@BOTH_WAYS
async def test_a_question_is_answered_token_by_token(client: Client, sent: Sent, follow: Follow) -> None:
    events = [event async for event in follow(client, sent.generation, 0)]
    kinds = [event.kind for event in events]

    assert len(events) > 7
    assert kinds == ["GenerationStarted", *["TextDelta"] * (len(events) - 2), "GenerationFinished"]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert (events[-1].status, events[-1].error, events[-1].reply_status) == ("COMPLETED", None, "COMPLETE")
    assert events[-1].reply_text == played(events)


async def test_the_answer_stands_in_the_tree_below_its_question(client: Client, sent: Sent, flavour: Flavour) -> None:
    text = played(await everything(client, sent))
    assert await client.path(sent.conversation) == [
        ("USER", "COMPLETE", flavour.question),
        ("ASSISTANT", "COMPLETE", text),
    ]


@BOTH_WAYS
async def test_who_joins_late_reads_the_same(client: Client, sent: Sent, follow: Follow) -> None:
    async with aclosing(client.follow_ws(sent.generation)) as events:
        early = [await anext(events) for _ in range(4)]
        late = [event async for event in follow(client, sent.generation, 0)]
        early += [event async for event in events]
    assert late == early


@BOTH_WAYS
async def test_who_comes_after_the_end_reads_the_same(client: Client, sent: Sent, follow: Follow) -> None:
    events = await everything(client, sent)
    assert [event async for event in follow(client, sent.generation, 0)] == events
    assert [event async for event in follow(client, sent.generation, events[-1].seq)] == []


@BOTH_WAYS
async def test_who_reconnects_with_an_old_cursor_reads_the_same(client: Client, sent: Sent, follow: Follow) -> None:
    async with aclosing(follow(client, sent.generation, 0)) as events:
        before = [await anext(events) for _ in range(5)]
    again = [event async for event in follow(client, sent.generation, 3)]
    assert again[:2] == before[3:]
    assert played(again, played(before[:3])) == again[-1].reply_text


async def test_who_subscribes_twice_reads_the_same_twice(client: Client, sent: Sent) -> None:
    read: dict[str, list[Event]] = {"one": [], "two": []}
    open_subscriptions = set(read)
    async with client.socket() as socket:
        await socket.initialise(client.key)
        for name in read:
            await socket.subscribe(name, sent.generation)
        while open_subscriptions:
            name, event = await socket.receive_event()
            if event is None:
                open_subscriptions.discard(name)
            else:
                read[name].append(event)
    assert read["one"] == read["two"] == await everything(client, sent)


@pytest.mark.prove
async def test_thirty_followers_who_come_and_go_read_the_same(client: Client, sent: Sent) -> None:
    texts = await asyncio.gather(*(_restless(client, sent.generation, stride) for stride in range(1, 31)))
    assert set(texts) == {played(await everything(client, sent))}


async def everything(client: Client, sent: Sent) -> list[Event]:
    return [event async for event in client.follow_ws(sent.generation)]


async def _restless(client: Client, generation: str, stride: int) -> str:
    """Leaves after every `stride` events, and comes back the other way."""
    read: list[Event] = []
    while not read or read[-1].kind != "GenerationFinished":
        follow = client.follow_sse if len(read) % 2 else client.follow_ws
        async with aclosing(follow(generation, len(read))) as events:
            for _ in range(stride):
                if (event := await anext(events, None)) is None:
                    break
                read.append(event)
    return played(read)
