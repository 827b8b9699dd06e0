"""stopGeneration."""

import asyncio

import pytest

from server.compose import Gus
from tests.graphql.front_end import FrontEnd, script
from tests.graphql.ids import MALFORMED, UNKNOWN
from tests.graphql.rows import unchanged
from tests.model_server import ModelServer

RUN = """
query($id: ID!) {
  generation(id: $id) {
    status finishReason usage { outputTokens source } cost error { code }
    reply { text status }
  }
}
"""


async def test_a_stop_keeps_the_text_and_the_path_is_free_again(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.send(script(words=9, after=3, delay_ms=10, fault="hang_between"))
    generation = sent["generation"]["id"]
    await ada.heard(generation)
    answer = await ada.stop(generation)
    assert answer == {
        "__typename": "StopGenerationSuccess",
        "alreadyEnded": False,
        "generation": {"id": generation, "status": "RUNNING"},
    }
    assert (await ada.followed(generation))[-1]["finishReason"] == "USER_STOP"
    run = (await ada.ask(RUN, id=generation))["generation"]
    assert (run["status"], run["finishReason"], run["error"]) == ("STOPPED", "USER_STOP", None)
    assert run["usage"] == {"outputTokens": 3, "source": "PARTIAL"}
    assert run["reply"] == {"text": model_server.seen[0].text, "status": "STOPPED"}
    assert (await ada.send("On", conversation=sent["conversation"]["id"]))["__typename"] == "SendMessageSuccess"


async def test_a_stop_takes_back_what_the_user_has_not_seen(ada: FrontEnd) -> None:
    sent = await ada.send(script(words=9, after=3, delay_ms=20, fault="hang_between"))
    generation = sent["generation"]["id"]
    events = await ada.heard(generation)
    seen = events[1]
    await ada.stop(generation, seen["seq"])
    ending = (await ada.followed(generation))[len(events) :]
    kept = len(seen["text"])
    assert [event["__typename"] for event in ending] == ["TextTruncated", "GenerationFinished"]
    assert (ending[0]["length"], ending[0]["reason"]) == (kept, "STOPPED")
    assert ending[1]["reply"] == {"text": seen["text"]}
    run = (await ada.ask(RUN, id=generation))["generation"]
    # What the model produced is what it costs.
    assert (run["reply"]["text"], run["usage"]["outputTokens"]) == (seen["text"], 3)


@pytest.mark.parametrize("rounds", [50, pytest.param(1_000, marks=pytest.mark.prove)])
async def test_a_stop_comes_after_the_end_or_the_run_ends_stopped(ada: FrontEnd, rounds: int) -> None:
    async def round_(number: int) -> tuple[bool, str]:
        generation = (await ada.send(script(words=4, delay_ms=3)))["generation"]["id"]
        await asyncio.sleep(0.0005 * (number % 50))
        already = (await ada.stop(generation))["alreadyEnded"]
        return already, (await ada.followed(generation))[-1]["status"]

    found = set[tuple[bool, str]]()
    for start in range(0, rounds, 10):
        found |= set(await asyncio.gather(*map(round_, range(start, start + 10))))
    assert found <= {(True, "COMPLETED"), (False, "STOPPED")}


async def test_a_stop_before_anything_was_seen_keeps_nothing_and_one_from_the_future_keeps_all(ada: FrontEnd) -> None:
    for seen_seq, kept in ((0, 0), (-1, 0), (999, 3)):
        generation = (await ada.send(script(words=9, after=3, fault="hang_between")))["generation"]["id"]
        await ada.heard(generation)
        await ada.stop(generation, seen_seq)
        assert (await ada.followed(generation))[-1]["reply"]["text"].count("w") == kept


async def test_the_first_stop_wins_and_later_ones_change_nothing(ada: FrontEnd, gus: Gus) -> None:
    generation = (await ada.send(script(words=9, after=3, fault="hang_between")))["generation"]["id"]
    await ada.heard(generation)
    assert (await ada.stop(generation))["alreadyEnded"] is False
    assert (await ada.stop(generation, 0))["alreadyEnded"] is True
    assert (await ada.followed(generation))[-1]["reply"]["text"].count("w") == 3
    again = await unchanged(gus, ada.stop(generation, 0))
    assert (again["alreadyEnded"], again["generation"]["status"]) == (True, "STOPPED")


async def test_a_run_that_ended_by_itself_stays_as_it_is(ada: FrontEnd, gus: Gus) -> None:
    generation = (await ada.said(script(words=2)))["generation"]["id"]
    again = await unchanged(gus, ada.stop(generation, 0))
    assert (again["alreadyEnded"], again["generation"]["status"]) == (True, "COMPLETED")


async def test_unknown_malformed_and_foreign_runs_are_answered_alike(ada: FrontEnd, bob: FrontEnd, gus: Gus) -> None:
    theirs = (await bob.send(script(fault="hang_first")))["generation"]["id"]
    for generation in (theirs, UNKNOWN["Generation"], *MALFORMED):
        assert await unchanged(gus, ada.stop(generation)) == {
            "__typename": "NotFound",
            "code": "NOT_FOUND",
            "message": "There is no such generation: it never existed, was deleted, or is not yours.",
            "retryable": False,
            "retryAfter": None,
            "path": ["generation"],
        }
