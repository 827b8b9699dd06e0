"""A stop is felt at the model server, keeps what the user saw, and comes from any process."""

import time
from contextlib import aclosing
from uuid import uuid4

from tests.e2e.client import Client, Event, played, units
from tests.e2e.scripted import Request, Scripted, script

LONG = {"words": 1000, "delay_ms": 20}


async def test_a_stop_hangs_up_on_the_model_server_and_takes_back_what_was_not_seen(
    client: Client, scripted: Scripted
) -> None:
    id = uuid4().hex
    sent = await client.send(script(id=id, **LONG))
    async with aclosing(client.follow_sse(sent.generation)) as events:
        seen = [await anext(events) for _ in range(8)]
        read = [*seen, *[await anext(events) for _ in range(8)]]
        asked_at = time.monotonic()
        assert await client.stop(sent.generation, seen_seq=seen[-1].seq) is False
        left = await scripted.wait_for(id, _hung_up)
        read += [event async for event in events]

    # 500 ms is the promise; the rest is for the slowness of a machine that runs tests.
    assert left["disconnected_at"] - asked_at < 1
    cut_to = units(played(seen))
    assert read[-2] == Event(kind="TextTruncated", seq=read[-3].seq + 1, length=cut_to, reason="STOPPED")
    assert (read[-1].status, read[-1].finish_reason) == ("STOPPED", "USER_STOP")
    assert read[-1].reply_text == played(read) == played(seen)


async def test_a_stop_without_a_cursor_keeps_all(client: Client, scripted: Scripted) -> None:
    sent = await client.send(script(**LONG))
    async with aclosing(client.follow_ws(sent.generation)) as events:
        read = [await anext(events) for _ in range(8)]
        await client.stop(sent.generation)
        read += [event async for event in events]
    assert {event.kind for event in read} == {"GenerationStarted", "TextDelta", "GenerationFinished"}
    assert read[-1].reply_text == played(read)


async def test_a_second_stop_changes_nothing(client: Client) -> None:
    sent = await client.send(script(**LONG))
    assert await client.stop(sent.generation) is False
    events = [event async for event in client.follow_ws(sent.generation)]
    assert await client.stop(sent.generation, seen_seq=1) is True
    assert [event async for event in client.follow_ws(sent.generation)] == events


def _hung_up(request: Request) -> bool:
    return request["disconnected_at"] is not None
