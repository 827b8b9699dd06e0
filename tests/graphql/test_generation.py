"""Runs: how they end, what they cost, their log by query and by subscription."""

from datetime import datetime
from typing import Any

import pytest

from tests.graphql.asked import told
from tests.graphql.documents import EVENTS, FOLLOW
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.ids import MALFORMED, UNKNOWN
from tests.model_server import ModelServer

RUN = """
query($id: ID!) {
  generation(id: $id) {
    id trigger status finishReason textOffset lastSeq
    queuedAt startedAt firstTokenAt endedAt latencyMs timeToFirstTokenMs tokensPerSecond
    usage { inputTokens cachedInputTokens outputTokens reasoningTokens source }
    cost
    error { code message retryable retryAfter }
    model { key } requestedModel { key }
    conversation { id } reply { id text reasoning status textThroughSeq firstTokenAt completedAt model { key } }
  }
}
"""

REPLY = "query($id: ID!) {message(id: $id) {text status textThroughSeq completedAt generation {lastSeq}}}"


async def run_of(ada: FrontEnd, sent: dict[str, Any]) -> dict[str, Any]:
    return dict((await ada.ask(RUN, id=sent["generation"]["id"]))["generation"])


async def test_a_run_that_ends_well_tells_what_it_took(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=4, prompt_tokens=1_000, delay_ms=2))
    run = await run_of(ada, sent)
    assert (run["trigger"], run["status"], run["finishReason"], run["error"]) == ("SEND", "COMPLETED", "STOP", None)
    assert (run["model"], run["requestedModel"]) == ({"key": "scripted"}, {"key": "scripted"})
    counted = {"inputTokens": 1_000, "cachedInputTokens": 0, "outputTokens": 4, "reasoningTokens": 0}
    assert run["usage"] == {**counted, "source": "PROVIDER"}
    assert run["cost"] == "0.000256"  # 1000 x 0.25 + 4 x 1.50 USD for a million
    assert run["conversation"]["id"] == sent["conversation"]["id"]
    assert run["reply"]["id"] == sent["reply"]["id"]
    assert (run["reply"]["status"], run["reply"]["text"]) == ("COMPLETE", model_server.seen[0].text)
    assert (run["textOffset"], run["reply"]["textThroughSeq"]) == (0, run["lastSeq"])


async def test_the_times_of_a_run_agree(ada: FrontEnd) -> None:
    run = await run_of(ada, await ada.said(script(words=4, first_delay_ms=20, delay_ms=5)))
    assert run["queuedAt"] == run["startedAt"] < run["firstTokenAt"] < run["endedAt"]
    assert (run["reply"]["firstTokenAt"], run["reply"]["completedAt"]) == (run["firstTokenAt"], run["endedAt"])
    # Of the times only milliseconds are shown.
    assert run["latencyMs"] == pytest.approx(ms(run["queuedAt"], run["endedAt"]), abs=1)
    assert run["timeToFirstTokenMs"] == pytest.approx(ms(run["queuedAt"], run["firstTokenAt"]), abs=1)
    writing = run["latencyMs"] - run["timeToFirstTokenMs"]
    assert run["tokensPerSecond"] == pytest.approx(4_000 / writing, rel=2 / writing)


async def test_a_run_that_has_not_ended_has_no_end(ada: FrontEnd) -> None:
    run = await run_of(ada, await ada.send(script(fault="hang_first")))
    assert (run["status"], run["lastSeq"], run["reply"]["status"]) == ("RUNNING", 1, "STREAMING")
    for later in ("finishReason", "firstTokenAt", "endedAt", "latencyMs", "timeToFirstTokenMs", "tokensPerSecond"):
        assert run[later] is None
    assert (run["usage"], run["cost"], run["error"], run["reply"]["completedAt"]) == (None, None, None, None)


async def test_what_the_model_server_does_not_count_is_estimated(ada: FrontEnd) -> None:
    run = await run_of(ada, await ada.said(script(words=3, fault="usage_none")))
    assert (run["usage"]["outputTokens"], run["usage"]["source"]) == (3, "ESTIMATED")
    assert run["usage"]["inputTokens"] > 3


async def test_a_reported_zero_stays_zero(ada: FrontEnd) -> None:
    run = await run_of(ada, await ada.said(script(words=3, fault="usage_zero")))
    assert (run["usage"]["inputTokens"], run["usage"]["outputTokens"], run["usage"]["source"]) == (0, 0, "PROVIDER")
    assert run["cost"] == "0"


async def test_a_reply_cut_by_length_is_complete_and_says_so(ada: FrontEnd) -> None:
    run = await run_of(ada, await ada.said(script(words=3, finish="length")))
    assert (run["status"], run["finishReason"], run["reply"]["status"]) == ("COMPLETED", "LENGTH", "COMPLETE")


async def test_a_run_that_breaks_off_keeps_its_text_and_never_shows_the_servers_words(ada: FrontEnd) -> None:
    run = await run_of(ada, await ada.said(script(say=["a", "b", "c", "d"], fault="error_data", after=3)))
    assert (run["status"], run["finishReason"], run["reply"]["status"]) == ("FAILED", "ERROR", "FAILED")
    assert (run["reply"]["text"], run["usage"]["outputTokens"]) == ("abc", 3)
    assert run["usage"]["source"] == "PARTIAL"
    assert run["error"] == {
        "code": "MODEL_BROKE_OFF",
        "message": "The model server broke off in the middle of its answer.",
        "retryable": True,
        "retryAfter": None,
    }


async def test_a_run_that_was_refused_has_no_usage(ada: FrontEnd) -> None:
    run = await run_of(ada, await ada.said(script(fault="bad_request")))
    assert (run["status"], run["usage"], run["cost"], run["reply"]["text"]) == ("FAILED", None, None, "")
    assert (run["error"]["code"], run["error"]["retryable"]) == ("MODEL_REFUSED", False)


async def test_what_the_model_thinks_aloud_is_kept_apart(ada: FrontEnd) -> None:
    sent = await ada.said(script(words=1, reasoning=2, fault="usage_none"))
    run = await run_of(ada, sent)
    assert run["reply"]["reasoning"] == "r1 r2 "
    assert (run["usage"]["outputTokens"], run["usage"]["reasoningTokens"]) == (3, 2)
    thought = [
        event for event in await ada.followed(sent["generation"]["id"]) if event["__typename"] == "ReasoningDelta"
    ]
    assert "".join(event["text"] for event in thought) == "r1 r2 "
    assert thought[0]["offset"] == 0


async def test_what_the_model_thinks_in_a_block_is_never_text(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=3, think=4, delay_ms=5))
    run = await run_of(ada, sent)
    assert (run["reply"]["text"], run["reply"]["reasoning"]) == (model_server.seen[0].text, "t1 t2 t3 t4 ")
    events = await ada.followed(sent["generation"]["id"])
    for kind, whole in (("TextDelta", run["reply"]["text"]), ("ReasoningDelta", run["reply"]["reasoning"])):
        said = ""
        for delta in (event for event in events if event["__typename"] == kind):
            assert delta["offset"] == len(said)
            said += delta["text"]
        assert said == whole


async def test_what_was_thought_is_not_told_to_the_model_again(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=1, think=2))
    await ada.said("And?", **here(sent))
    assert told(model_server) == [script(words=1, think=2), model_server.seen[0].text, "And?"]


async def test_what_a_stop_takes_back_is_text_and_no_thought(ada: FrontEnd) -> None:
    sent = await ada.send(script(words=9, after=3, think=2, fault="hang_between"))
    await ada.heard(sent["generation"]["id"])
    await ada.stop(sent["generation"]["id"], 0)
    await ada.followed(sent["generation"]["id"])
    reply = (await run_of(ada, sent))["reply"]
    assert (reply["text"], reply["reasoning"]) == ("", "t1 t2 ")


async def test_a_subscription_replays_from_the_start_and_ends_with_the_final_truth(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    sent = await ada.said(script(words=9, delay_ms=3))
    events = await ada.followed(sent["generation"]["id"])
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[0] == {"__typename": "GenerationStarted", "seq": 1, "attempt": 1, "model": {"key": "scripted"}}
    text = ""
    for event in events[1:-1]:
        assert (event["__typename"], event["offset"]) == ("TextDelta", len(text))
        text += event["text"]
        assert event["textSoFar"] == text
    assert text == model_server.seen[0].text
    run = await run_of(ada, sent)
    assert events[-1] == {
        "__typename": "GenerationFinished",
        "seq": run["lastSeq"],
        "status": "COMPLETED",
        "finishReason": "STOP",
        "reply": {"text": text},
        "usage": {name: run["usage"][name] for name in ("inputTokens", "outputTokens", "source")},
        "cost": run["cost"],
        "error": None,
    }


async def test_followers_from_the_start_in_the_middle_and_after_the_end_agree(ada: FrontEnd) -> None:
    sent = await ada.send(script(words=9, delay_ms=3))
    generation = sent["generation"]["id"]
    async with ada.following(generation) as stream:
        live = [event async for event in stream]
    assert await ada.followed(generation) == live
    for after in (1, 2, len(live) - 1):
        assert await ada.followed(generation, after) == live[after:]
    assert await ada.followed(generation, len(live)) == []
    assert await ada.followed(generation, -5) == live


async def test_a_reply_read_in_the_middle_and_the_events_after_it_are_the_whole(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    sent = await ada.send(script(words=6, after=3, fault="hang_between"))
    async with ada.following(sent["generation"]["id"]) as stream:
        said = ""
        while said.count("w") < 3:
            event = await anext(stream)
            said += event.get("text", "")
    reply = (await ada.ask(REPLY, id=sent["reply"]["id"]))["message"]
    assert (reply["text"], reply["status"], reply["completedAt"]) == (model_server.seen[0].text, "STREAMING", None)
    assert reply["textThroughSeq"] == reply["generation"]["lastSeq"] == event["seq"]


async def test_a_cursor_past_the_end_is_a_bad_variable(ada: FrontEnd) -> None:
    sent = await ada.said(script(words=1))
    generation, end = sent["generation"]["id"], (await run_of(ada, sent))["lastSeq"]
    assert await ada.stream_refused(FOLLOW, generation=generation, after=end + 1) == ["BAD_VARIABLES"]
    assert await ada.refused(EVENTS, generation=generation, after=end + 1) == ["BAD_VARIABLES"]


async def test_unknown_malformed_and_foreign_runs_cannot_be_followed(ada: FrontEnd, bob: FrontEnd) -> None:
    theirs = (await bob.said(script(words=1)))["generation"]["id"]
    for generation in (theirs, UNKNOWN["Generation"], *MALFORMED):
        assert await ada.stream_refused(FOLLOW, generation=generation) == ["NOT_FOUND"], generation
        assert await ada.ask(EVENTS, generation=generation) == {"generation": None}


async def test_pages_of_the_log_are_the_subscription(ada: FrontEnd) -> None:
    generation = (await ada.said(script(words=9, delay_ms=3)))["generation"]["id"]
    streamed, paged, after = await ada.followed(generation), list[dict[str, Any]](), 0
    while True:
        page = (await ada.ask(EVENTS, generation=generation, after=after, first=2))["generation"]["events"]
        assert page["events"]
        paged += page["events"]
        after = page["nextAfter"]
        assert after == paged[-1]["seq"]
        assert page["terminal"] is (after == streamed[-1]["seq"])
        if page["terminal"]:
            break
    assert paged == streamed


async def test_a_page_after_the_end_is_empty_and_terminal_and_of_a_live_run_it_is_not(ada: FrontEnd) -> None:
    ended = (await ada.said(script(words=1)))["generation"]["id"]
    end = len(await ada.followed(ended))
    page = (await ada.ask(EVENTS, generation=ended, after=end))["generation"]["events"]
    assert page == {"events": [], "nextAfter": end, "terminal": True}
    live = (await ada.send(script(fault="hang_first")))["generation"]["id"]
    page = (await ada.ask(EVENTS, generation=live, after=1))["generation"]["events"]
    assert page == {"events": [], "nextAfter": 1, "terminal": False}


async def test_a_page_of_the_log_has_a_size(ada: FrontEnd) -> None:
    generation = (await ada.said(script(words=1)))["generation"]["id"]
    for first in (0, 501):
        assert await ada.refused(EVENTS, generation=generation, first=first) == ["BAD_PAGE"]
    assert len((await ada.ask(EVENTS, generation=generation, first=500))["generation"]["events"]["events"]) >= 3


async def test_text_so_far_ends_at_32768_code_units(ada: FrontEnd) -> None:
    sent = await ada.said(script(say=["x" * 32_767, "y", "z"], delay_ms=30))
    deltas = [event for event in await ada.followed(sent["generation"]["id"]) if event["__typename"] == "TextDelta"]
    ends = {event["offset"] + len(event["text"]): event["textSoFar"] for event in deltas}
    assert ends[32_769] is None
    assert all(shown is not None and len(shown) == end for end, shown in ends.items() if end <= 32_768)


async def test_active_generations_are_those_that_have_not_ended_oldest_first(ada: FrontEnd, bob: FrontEnd) -> None:
    await ada.said(script(words=1))
    await bob.send(script(fault="hang_first"))
    running = [(await ada.send(script(fault="hang_first")))["generation"]["id"] for _ in range(2)]
    viewer = (await ada.ask("{viewer {activeGenerations {id status}}}"))["viewer"]
    assert viewer["activeGenerations"] == [{"id": id, "status": "RUNNING"} for id in running]


def ms(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds() * 1_000
