"""SIGTERM to a process that is in use: what its followers, its load balancer and those who send see of it."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from tests.e2e.client import SEND, Client, Cut, Event, Socket, played
from tests.e2e.scripted import script
from tests.e2e.served import Served
from tests.server.conftest import Serve

TWO_SECONDS = script(words=50, delay_ms=40)
LONG = script(words=10_000, delay_ms=20)
SOON = 5


async def test_a_follower_receives_the_rest_of_a_live_answer_and_is_then_told_to_resume(serve: Serve) -> None:
    served = serve(grace_seconds="10")
    async with served.client() as client, following(client, TWO_SECONDS) as socket:
        seen = [await event_of(socket) for _ in range(5)]
        served.signal(signal.SIGTERM)
        seen += [event async for event in rest_of(socket)]
        assert (seen[-1].kind, seen[-1].status) == ("GenerationFinished", "COMPLETED")
        assert (len(played(seen).split()), seen[-1].reply_text) == (50, played(seen))
        assert await socket.closed() == 1001
        assert await asyncio.to_thread(served.wait) == 0


async def test_meanwhile_it_is_not_ready_refuses_sends_and_answers_all_else(serve: Serve) -> None:
    served = serve(grace_seconds="10")
    async with served.client() as client, following(client, TWO_SECONDS) as socket:
        await event_of(socket)
        served.signal(signal.SIGTERM)
        await until_not_ready(served)
        async with served.client() as late:
            refused = await late.ask(SEND, {"input": {"text": "Hi", "idempotencyKey": "x" * 20}})
            models = await late.ask("{models {key}}")
        assert (refused["sendMessage"]["__typename"], refused["sendMessage"]["code"]) == (
            "ServerDraining",
            "SERVER_DRAINING",
        )
        assert {"scripted", "nowhere"} <= {model["key"] for model in models["models"]}
        assert [event async for event in rest_of(socket)][-1].status == "COMPLETED"
    assert await asyncio.to_thread(served.wait) == 0


async def test_what_outlasts_the_grace_is_interrupted_in_front_of_its_followers(serve: Serve) -> None:
    served = serve(grace_seconds="1")
    async with served.client() as client, following(client, LONG) as socket:
        seen = [await event_of(socket) for _ in range(5)]
        served.signal(signal.SIGTERM)
        began = time.monotonic()
        seen += [event async for event in rest_of(socket)]
        assert (seen[-1].status, seen[-1].finish_reason) == ("INTERRUPTED", "SERVER_LOST")
        assert seen[-1].reply_text == played(seen)
        assert await asyncio.to_thread(served.wait) == 0
        assert 1 < time.monotonic() - began < 1 + SOON


async def test_a_follower_whose_run_is_another_workers_resumes_elsewhere(serve: Serve) -> None:
    """The socket may be the other worker's, which has nothing to wait for and closes it first."""
    leaving, staying = serve(grace_seconds="1", workers="2"), serve()
    async with leaving.client() as client:
        sent = await client.send(LONG)
        async with client.socket() as socket:
            await socket.initialise(client.key)
            await socket.subscribe("1", sent.generation)
            seen = [await event_of(socket) for _ in range(5)]
            leaving.signal(signal.SIGTERM)
            with suppress(Cut):
                seen += [event async for event in rest_of(socket)]
            assert await socket.closed() == 1001
    async with staying.client(leaving.development_key) as client:
        seen += [event async for event in client.follow_ws(sent.generation, after=seen[-1].seq)]
    assert (seen[-1].status, seen[-1].finish_reason) == ("INTERRUPTED", "SERVER_LOST")
    # It has been gone on with, perhaps.
    assert seen[-1].reply_text is not None
    assert seen[-1].reply_text.startswith(played(seen))
    assert await asyncio.to_thread(leaving.wait) == 0


async def test_followers_by_event_stream_receive_the_rest_too(serve: Serve) -> None:
    served = serve(grace_seconds="10")
    async with served.client() as client:
        sent = await client.send(TWO_SECONDS)
        events = client.follow_sse(sent.generation)
        seen = [await anext(events)]
        served.signal(signal.SIGTERM)
        seen += [event async for event in events]
    assert (seen[-1].status, len(played(seen).split())) == ("COMPLETED", 50)


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_second_signal_ends_it_at_once(serve: Serve, workers: str) -> None:
    served = serve(grace_seconds="60", workers=workers)
    async with served.client() as client, following(client, LONG) as socket:
        await event_of(socket)
        family = served.family()
        served.signal(signal.SIGINT)
        await until_not_ready(served)
        served.signal(signal.SIGINT)
        began = time.monotonic()
        assert await asyncio.to_thread(served.wait) == 0
    assert time.monotonic() - began < SOON
    assert [process for process in family if process.is_running()] == []
    assert "Traceback" not in served.output


async def test_with_nothing_to_wait_for_it_ends_at_once(serve: Serve) -> None:
    served = serve(grace_seconds="60")
    async with served.client() as client, client.socket() as socket:
        await socket.initialise(client.key)
        began = time.monotonic()
        served.signal(signal.SIGTERM)
        assert await socket.closed() == 1001
        assert await asyncio.to_thread(served.wait) == 0
    assert time.monotonic() - began < SOON


@asynccontextmanager
async def following(client: Client, question: str) -> AsyncIterator[Socket]:
    sent = await client.send(question)
    async with client.socket() as socket:
        await socket.initialise(client.key)
        await socket.subscribe("1", sent.generation)
        yield socket


async def event_of(socket: Socket) -> Event:
    _, event = await socket.receive_event()
    assert event is not None
    return event


async def rest_of(socket: Socket) -> AsyncIterator[Event]:
    while (event := (await socket.receive_event())[1]) is not None:
        yield event


async def until_not_ready(served: Served) -> None:
    async with httpx.AsyncClient() as asking, asyncio.timeout(SOON):
        while (answer := await asking.get(f"{served.origin}/health/ready")).status_code == 200:
            await asyncio.sleep(0.02)
    assert (answer.status_code, answer.json()) == (503, {"status": "not ready", "notReady": ["open"]})
