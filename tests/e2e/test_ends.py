"""However the server ends, what was shown is kept, and nothing that it started goes on."""

import asyncio
import random
import signal
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing

import pytest

from tests.e2e.client import Client, Cut, Event, Follow, Sent, played
from tests.e2e.scripted import script
from tests.e2e.served import Served, is_gone, placed

LONG_TALE = "Tell me a long story about a tree."
LONG = script(words=400, delay_ms=25)
A_SECOND = script(words=25, delay_ms=40)


@pytest.fixture
def embedded() -> Iterator[Served]:
    with placed() as served:
        served.start()
        yield served


@pytest.fixture
def served(mortal: Served) -> Served:
    """Its database and its model server stay when it ends."""
    mortal.start_again()
    return mortal


async def test_the_embedded_parts_end_with_the_server_and_the_next_start_still_knows_the_text(embedded: Served) -> None:
    async with embedded.client() as client:
        sent = await client.send("What is a tree?", longest=20)
        text = played([event async for event in client.follow_ws(sent.generation)])
    _assert_ends_with_all_it_has_started(embedded)

    embedded.start_again()
    async with embedded.client() as client:
        assert (await client.path(sent.conversation))[-1] == ("ASSISTANT", "COMPLETE", text)
        family = embedded.family()
        sent, seen = await _seen_until_killed(embedded, client, LONG_TALE)

    embedded.start_again()
    # The database is found again; the model died with its parent.
    assert {process.name() for process in family if not is_gone(process)} == {"postgres"}
    await _assert_interrupted_with_all_that_was_seen(embedded, sent, seen)
    _assert_ends_with_all_it_has_started(embedded)


async def test_an_embedded_model_that_dies_fails_its_answer_and_is_started_again(served_embedded: Served) -> None:
    [model] = served_embedded.models()
    async with served_embedded.client() as client:
        sent = await client.send(LONG_TALE)
        async with aclosing(client.follow_ws(sent.generation)) as events:
            seen = [await anext(events) for _ in range(5)]
            model.kill()
            seen += [event async for event in events]
        # Until it has loaded, each of these may fail after its last try.
        async with asyncio.timeout(30):
            while (await _end(client, await client.send("What is a tree?", longest=10))).status != "COMPLETED":
                pass
    assert seen[-1].error is not None
    assert (seen[-1].status, seen[-1].error.code, seen[-1].reply_text) == ("FAILED", "MODEL_BROKE_OFF", played(seen))


@pytest.mark.parametrize("follow", [Client.follow_ws, Client.follow_sse])
async def test_after_kill_9_a_reply_is_interrupted_with_every_token_that_was_seen(
    served: Served, follow: Follow
) -> None:
    async with served.client() as client:
        sent, seen = await _seen_until_killed(served, client, LONG, follow)
    served.start_again()
    await _assert_interrupted_with_all_that_was_seen(served, sent, seen)


@pytest.mark.prove
async def test_kill_9_at_any_moment_loses_nothing_that_was_seen(served: Served) -> None:
    for _ in range(20):
        async with served.client() as client:
            sent, seen = await _seen_until_killed(served, client, LONG, enough=random.randrange(1, 60))
        served.start_again()
        await _assert_interrupted_with_all_that_was_seen(served, sent, seen)


@pytest.mark.prove
async def test_another_process_ends_what_a_dead_one_has_left(served: Served, served_elsewhere: Served) -> None:
    async with served.client() as client:
        sent, seen = await _seen_until_killed(served, client, LONG)
    await _assert_interrupted_with_all_that_was_seen(served_elsewhere, sent, seen)


async def test_sigterm_lets_an_answer_end_within_the_grace(served: Served) -> None:
    async with served.client() as client:
        sent = await client.send(A_SECOND)
        seen = await _seen_to_the_end(served, client.follow_ws(sent.generation))
        assert await asyncio.to_thread(served.wait) == 0
    served.start_again()
    async with served.client() as client:
        events = [event async for event in client.follow_ws(sent.generation)]
    assert events == seen
    assert (events[-1].status, len(played(events).split())) == ("COMPLETED", 25)


async def test_sigterm_interrupts_an_answer_that_outlasts_the_grace_and_another_process_goes_on_with_it(
    served: Served, served_elsewhere: Served
) -> None:
    async with served.client() as client:
        sent = await client.send(LONG)
        seen = await _seen_to_the_end(served, client.follow_ws(sent.generation))
        assert await asyncio.to_thread(served.wait) == 0
    assert seen[-1].status == "INTERRUPTED"
    async with served_elsewhere.client() as client, asyncio.timeout(30):
        while len(text := (await client.path(sent.conversation))[-1][2]) == len(played(seen)):
            await asyncio.sleep(0.05)
        assert [event async for event in client.follow_ws(sent.generation)][:-1] == seen[:-1]
    assert text.startswith(played(seen))


async def test_sigterm_interrupts_an_answer_that_nobody_can_go_on_with_and_keeps_its_text(served: Served) -> None:
    async with served.client() as client:
        sent = await client.send(LONG, model="whole")
        seen = await _seen_to_the_end(served, client.follow_ws(sent.generation))
        assert await asyncio.to_thread(served.wait) == 0
    assert seen[-1].status == "INTERRUPTED"
    served.start_again()
    await _assert_interrupted_with_all_that_was_seen(served, sent, seen)


async def test_sigterm_lets_event_streams_see_the_end_too(served: Served) -> None:
    async with served.client() as client:
        sent = await client.send(LONG, model="whole")
        seen = await _seen_to_the_end(served, client.follow_sse(sent.generation))
        assert await asyncio.to_thread(served.wait) == 0
    log = served.output
    served.start_again()
    await _assert_interrupted_with_all_that_was_seen(served, sent, seen)
    assert "Traceback" not in log


async def _seen_until_killed(
    served: Served, client: Client, question: str, follow: Follow = Client.follow_ws, *, enough: int = 10
) -> tuple[Sent, list[Event]]:
    sent = await client.send(question)
    seen, _ = await _seen_until_cut(follow(client, sent.generation, 0), enough, served.kill)
    return sent, seen


async def _seen_to_the_end(served: Served, events: AsyncGenerator[Event, None]) -> list[Event]:
    """What a follower is shown by a server that is told to leave in the middle: all of it."""
    seen = list[Event]()
    async for event in events:
        seen.append(event)
        if len(seen) == 10:
            served.signal(signal.SIGTERM)
    return seen


async def _seen_until_cut(
    events: AsyncGenerator[Event, None], enough: int, then: Callable[[], None]
) -> tuple[list[Event], int | str | None]:
    """What was seen, and how it was cut."""
    seen = list[Event]()
    try:
        async for event in events:
            seen.append(event)
            if len(seen) == enough:
                then()
    except Cut as cut:
        return seen, cut.code
    raise AssertionError(f"It came to its end: {seen[-1]}")


async def _end(client: Client, sent: Sent) -> Event:
    return [event async for event in client.follow_ws(sent.generation)][-1]


async def _assert_interrupted_with_all_that_was_seen(served: Served, sent: Sent, seen: list[Event]) -> None:
    async with served.client() as client:
        events = [event async for event in client.follow_ws(sent.generation)]
        path = await client.path(sent.conversation)
    ends = [event for event in events if event.kind == "GenerationFinished"]
    assert events[: len(seen)] == seen
    assert ends == [events[-1]]
    assert (events[-1].status, events[-1].finish_reason) == ("INTERRUPTED", "SERVER_LOST")
    assert path[-1] == ("ASSISTANT", "INTERRUPTED", played(events))


def _assert_ends_with_all_it_has_started(served: Served) -> None:
    family = served.family()
    assert (len(served.models()), "postgres" in [process.name() for process in family]) == (1, True)
    assert served.stop() == 0
    assert "Traceback" not in served.output
    assert [process for process in family if not is_gone(process)] == []
