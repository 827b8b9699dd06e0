"""GenerationSnapshot: for clients that ask for it, and for those who come when the log is gone."""

from datetime import timedelta
from typing import Any

from repositories.generation.store import SqlGenerations
from server.compose import Gus
from tests.graphql.documents import EVENTS
from tests.graphql.front_end import FrontEnd, here, script
from tests.model_server import ModelServer

HANGS = script(words=9, after=3, fault="hang_between")
THROUGH = "query($id: ID!) {message(id: $id) {textThroughSeq}}"


async def compacted(gus: Gus) -> None:
    """As after the hour for which a log is kept."""
    await SqlGenerations(gus.database).compact(timedelta(0), 500)


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["__typename"] for event in events]


async def test_a_snapshot_in_the_middle_is_the_reply_so_far_and_the_rest_follows(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    sent = await ada.send(script(words=9, after=3, fault="hang_between"))
    generation = sent["generation"]["id"]
    before = await ada.heard(generation)
    async with ada.following(generation, snapshot=True) as stream:
        snapshot = await anext(stream)
        assert snapshot == {
            "__typename": "GenerationSnapshot",
            "seq": before[-1]["seq"],
            "reply": {"text": model_server.seen[0].text, "status": "STREAMING"},
        }
        assert (await ada.ask(THROUGH, id=sent["reply"]["id"]))["message"]["textThroughSeq"] == snapshot["seq"]
        await ada.stop(generation, before[1]["seq"])
        rest = [event async for event in stream]
    assert kinds(rest) == ["TextTruncated", "GenerationFinished"]
    assert [event["seq"] for event in rest] == [snapshot["seq"] + 1, snapshot["seq"] + 2]


async def test_a_snapshot_of_a_run_that_said_nothing_yet_is_empty_and_all_follows(ada: FrontEnd) -> None:
    sent = await ada.send(script(words=2, first_delay_ms=200))
    whole = await ada.followed(sent["generation"]["id"], snapshot=True)
    assert whole[0] == {"__typename": "GenerationSnapshot", "seq": 1, "reply": {"text": "", "status": "STREAMING"}}
    assert [event["seq"] for event in whole] == list(range(1, len(whole) + 1))
    assert whole[-1]["__typename"] == "GenerationFinished"


async def test_a_snapshot_after_the_end_is_the_reply_and_the_end(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=5, delay_ms=5))
    log = await ada.followed(sent["generation"]["id"])
    for after in (0, 2, 999):
        snapshot, end = await ada.followed(sent["generation"]["id"], after, snapshot=True)
        assert end == log[-1]
        assert snapshot == {
            "__typename": "GenerationSnapshot",
            "seq": end["seq"] - 1,
            "reply": {"text": model_server.seen[0].text, "status": "COMPLETE"},
        }


async def test_a_snapshot_of_a_queued_run_is_its_pending_reply(ada: FrontEnd) -> None:
    sent = await ada.send(HANGS)
    second = await ada.send("And?", **here(sent), onBusy="ENQUEUE")
    async with ada.following(second["generation"]["id"], snapshot=True) as stream:
        snapshot = await anext(stream)
        assert (snapshot["__typename"], snapshot["reply"]) == ("GenerationSnapshot", {"text": "", "status": "PENDING"})
        await ada.stop(sent["generation"]["id"])
        rest = [event async for event in stream]
    assert [event["seq"] for event in rest] == list(range(snapshot["seq"] + 1, snapshot["seq"] + 1 + len(rest)))
    assert (rest[-1]["__typename"], rest[-1]["status"]) == ("GenerationFinished", "COMPLETED")


async def test_a_snapshot_of_a_continued_replys_older_run_is_the_reply_as_it_is_now(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    sent = await ada.said(script(words=3, finish="length"))
    on = await ada.go_on(sent["reply"]["id"])
    await ada.followed(on["generation"]["id"])
    whole = "".join(seen.text for seen in model_server.seen)
    for run in (sent, on):
        snapshot, end = await ada.followed(run["generation"]["id"], snapshot=True)
        assert (snapshot["__typename"], snapshot["reply"]["text"]) == ("GenerationSnapshot", whole)
        assert (end["__typename"], end["seq"]) == ("GenerationFinished", snapshot["seq"] + 1)


async def test_a_snapshot_of_a_continuation_begins_with_the_kept_text(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=9, after=3, fault="error_data", times=1))
    kept = (await ada.followed(sent["generation"]["id"], snapshot=True))[0]["reply"]["text"]
    on = await ada.go_on(sent["reply"]["id"])
    snapshot, *rest = await ada.followed(on["generation"]["id"], snapshot=True)
    assert snapshot["reply"]["text"].startswith(kept)
    assert rest[-1]["reply"]["text"] == kept + model_server.seen[1].text


async def test_after_retention_a_snapshot_and_the_end_answer(
    ada: FrontEnd, gus: Gus, model_server: ModelServer
) -> None:
    sent = await ada.said(script(words=5, delay_ms=5, reasoning=2))
    generation = sent["generation"]["id"]
    log = await ada.followed(generation)
    await compacted(gus)
    end = log[-1]["seq"]
    for after in (0, 1, end - 2):
        snapshot, finished = await ada.followed(generation, after)
        assert (snapshot["__typename"], snapshot["seq"]) == ("GenerationSnapshot", end - 1)
        assert snapshot["reply"] == {"text": model_server.seen[0].text, "status": "COMPLETE"}
        assert finished == log[-1]
    assert await ada.followed(generation, end - 1) == log[-1:]
    assert await ada.followed(generation, end) == []


async def test_what_is_not_ended_is_not_compacted(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.send(HANGS)
    before = await ada.heard(sent["generation"]["id"])
    await compacted(gus)
    assert await ada.heard(sent["generation"]["id"]) == before


async def test_a_follower_whose_log_is_compacted_meanwhile_misses_nothing(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.send(HANGS)
    async with ada.following(sent["generation"]["id"]) as stream:
        seen = [await anext(stream)]
        await ada.heard(sent["generation"]["id"])
        await ada.stop(sent["generation"]["id"])
        await ada.followed(sent["generation"]["id"])
        await compacted(gus)
        seen += [event async for event in stream]
    assert seen[-1]["__typename"] == "GenerationFinished"
    shown = [event["reply"] for event in seen if event["__typename"] == "GenerationSnapshot"]
    said = "".join(event.get("text", "") for event in seen) or shown[0]["text"]
    assert said == seen[-1]["reply"]["text"]


async def test_after_retention_a_page_of_the_log_is_a_snapshot_and_the_end(ada: FrontEnd, gus: Gus) -> None:
    generation = (await ada.said(script(words=5)))["generation"]["id"]
    await compacted(gus)
    page = (await ada.ask(EVENTS, generation=generation))["generation"]["events"]
    assert kinds(page["events"]) == ["GenerationSnapshot", "GenerationFinished"]
