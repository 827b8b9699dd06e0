"""Models that do not answer: tried again, or their fallbacks, and never after the first token."""

from typing import Any

import httpx

from server.compose import Gus
from tests.graphql.front_end import FrontEnd, script
from tests.model_server import ModelServer

BACKED = {"settings": {"model": "backed"}}

RUN = """
query($id: ID!) {
  generation(id: $id) {
    status error { code retryable } model { key } requestedModel { key } settings { model { key } } cost
    notices { code message }
    attempts { provider model outcome providerStatus startedAt endedAt }
    reply { text status model { key } }
  }
}
"""


async def run_of(ada: FrontEnd, sent: dict[str, Any]) -> dict[str, Any]:
    return dict((await ada.ask(RUN, id=sent["generation"]["id"]))["generation"])


def tries(run: dict[str, Any]) -> list[tuple[str, str, str, int | None]]:
    return [(each["provider"], each["model"], each["outcome"], each["providerStatus"]) for each in run["attempts"]]


async def test_a_fallback_answers_and_everybody_is_told(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=4, prompt_tokens=1_000, fault="unavailable_503", times=1), **BACKED)
    run = await run_of(ada, sent)
    assert (run["status"], run["error"]) == ("COMPLETED", None)
    assert (run["model"], run["requestedModel"]) == ({"key": "spare"}, {"key": "backed"})
    assert run["reply"] == {"text": model_server.seen[1].text, "status": "COMPLETE", "model": {"key": "spare"}}
    assert run["notices"] == [
        {"code": "MODEL_FALLBACK", "message": "backed did not answer: spare is asked instead."},
    ]
    assert tries(run) == [("shaky", "backed", "SERVER_ERROR", 503), ("steady", "spare", "ANSWERED", None)]
    assert run["attempts"][0]["endedAt"] <= run["attempts"][1]["startedAt"]
    assert run["settings"] == {"model": {"key": "spare"}}
    assert run["cost"] == "0.00037"  # 1000 x 0.25 + 4 x 30 USD for a million


async def test_the_settings_are_those_of_the_model_that_answered(ada: FrontEnd, model_server: ModelServer) -> None:
    settings = {"model": "backed", "maxOutputTokens": 3_000, "temperature": 0.5}
    sent = await ada.said(script(words=1, fault="error_500", times=1), settings=settings)
    assert (sent["generation"]["settings"]["maxOutputTokens"], model_server.seen[1].body["max_tokens"]) == (
        3_000,
        2_048,
    )
    query = "query($id: ID!) {generation(id: $id) {settings {model {key} maxOutputTokens temperature}}}"
    run = (await ada.ask(query, id=sent["generation"]["id"]))["generation"]
    assert run["settings"] == {"model": {"key": "spare"}, "maxOutputTokens": 2_048, "temperature": 0.5}


async def test_the_log_tells_of_a_fallback_before_its_first_word(ada: FrontEnd) -> None:
    sent = await ada.said(script(words=1, fault="rate_limited", times=1), **BACKED)
    events = await ada.followed(sent["generation"]["id"])
    assert [event["__typename"] for event in events] == [
        "GenerationStarted",
        "NoticeRaised",
        "GenerationStarted",
        "TextDelta",
        "GenerationFinished",
    ]
    assert (events[0]["attempt"], events[0]["model"]) == (1, {"key": "backed"})
    assert events[1]["notice"] == {"code": "MODEL_FALLBACK"}
    assert (events[2]["attempt"], events[2]["model"]) == (2, {"key": "spare"})
    assert [event["seq"] for event in events] == [1, 2, 3, 4, 5]


async def test_a_fallback_is_seen_while_it_answers(ada: FrontEnd) -> None:
    sent = await ada.send(script(words=9, after=3, fault="hang_first"), **BACKED)
    assert (await run_of(ada, sent))["model"] == {"key": "backed"}
    sent = await ada.send(script(words=2, first_delay_ms=500, fault="error_500", times=1), **BACKED)
    async with ada.following(sent["generation"]["id"]) as stream:
        while (await anext(stream)).get("attempt") != 2:
            continue
        run = await run_of(ada, sent)
    assert (run["status"], run["model"], run["requestedModel"]) == ("RUNNING", {"key": "spare"}, {"key": "backed"})
    assert [notice["code"] for notice in run["notices"]] == ["MODEL_FALLBACK"]
    assert run["reply"]["model"] == {"key": "spare"}


async def test_each_fallback_is_tried_once_and_the_last_failure_is_told(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    run = await run_of(ada, await ada.said(script(fault="rate_limited", retry_after="0"), **BACKED))
    assert (run["status"], run["error"]) == ("FAILED", {"code": "MODEL_OVERLOADED", "retryable": True})
    assert [outcome for _, _, outcome, _ in tries(run)] == ["RATE_LIMITED"] * 3
    assert [model for _, model, _, _ in tries(run)] == ["backed", "spare", "other"]
    assert [notice["code"] for notice in run["notices"]] == ["MODEL_FALLBACK"] * 2
    assert (run["model"], run["cost"], run["reply"]["text"]) == ({"key": "other"}, None, "")
    assert len(model_server.seen) == 3


async def test_a_server_that_cannot_be_reached_is_fallen_back_from(ada: FrontEnd, model_server: ModelServer) -> None:
    await model_server.refuse_connections()
    run = await run_of(ada, await ada.said(script(words=1), **BACKED))
    assert [outcome for _, _, outcome, _ in tries(run)] == ["REFUSED_CONNECTION"] * 3
    assert (run["status"], run["error"]["code"]) == ("FAILED", "MODEL_UNREACHABLE")


async def test_after_the_first_word_nobody_else_is_asked(ada: FrontEnd, model_server: ModelServer) -> None:
    for fault in ("cut_clean", "error_data"):
        run = await run_of(ada, await ada.said(script(say=["a", "b", "c"], after=2, fault=fault), **BACKED))
        assert (run["status"], run["reply"]["text"], run["notices"]) == ("FAILED", "ab", [])
        assert (run["model"], run["error"]["code"]) == ({"key": "backed"}, "MODEL_BROKE_OFF")
        assert tries(run) == [("shaky", "backed", "CUT_OFF", None)]
    assert len(model_server.seen) == 2


async def test_a_request_that_was_refused_is_no_others_business(ada: FrontEnd, model_server: ModelServer) -> None:
    run = await run_of(ada, await ada.said(script(fault="bad_request"), **BACKED))
    assert tries(run) == [("shaky", "backed", "BAD_RESPONSE", 400)]
    assert (run["status"], run["notices"]) == ("FAILED", [])
    assert len(model_server.seen) == 1


async def test_a_model_without_fallbacks_is_asked_again(ada: FrontEnd) -> None:
    run = await run_of(ada, await ada.said(script(words=1, fault="unavailable_503", times=1, retry_after="0")))
    assert tries(run) == [("here", "scripted", "SERVER_ERROR", 503), ("here", "scripted", "ANSWERED", None)]
    assert (run["status"], run["notices"]) == ("COMPLETED", [])


async def test_what_was_fallen_back_to_goes_on(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=2, finish="length", fault="error_500", times=1), **BACKED)
    on = await ada.go_on(sent["reply"]["id"])
    await ada.followed(on["generation"]["id"])
    run = await run_of(ada, on)
    assert (run["model"], run["requestedModel"], run["settings"]["model"]) == ({"key": "spare"},) * 3
    assert run["reply"]["text"] == "".join(seen.text for seen in model_server.seen)


async def test_a_run_that_was_stopped_after_a_fallback_names_who_answered(ada: FrontEnd) -> None:
    sent = await ada.send(script(words=9, first_delay_ms=5_000, fault="error_500", times=1), **BACKED)
    async with ada.following(sent["generation"]["id"]) as stream:
        while (await anext(stream)).get("attempt") != 2:
            continue
    await ada.stop(sent["generation"]["id"])
    await ada.followed(sent["generation"]["id"])
    run = await run_of(ada, sent)
    assert (run["status"], run["model"]) == ("STOPPED", {"key": "spare"})
    assert tries(run) == [("shaky", "backed", "SERVER_ERROR", 500), ("steady", "spare", "CANCELLED", None)]
    assert [notice["code"] for notice in run["notices"]] == ["MODEL_FALLBACK"]


async def test_a_fallback_that_cannot_continue_is_not_asked_to(
    ada: FrontEnd, gus: Gus, model_server: ModelServer
) -> None:
    cut = script(words=2, finish="length", fault="unavailable_503", times=1, retry_after="0")
    sent = await ada.said(cut)
    kept = (await run_of(ada, sent))["reply"]["text"]
    await gus.database.execute("UPDATE generations SET model_key = 'frail'")
    await forget_requests(model_server)
    on = await ada.go_on(sent["reply"]["id"])
    await ada.followed(on["generation"]["id"])
    run = await run_of(ada, on)
    assert tries(run) == [("shaky", "frail", "SERVER_ERROR", 503), ("shaky", "frail", "ANSWERED", None)]
    assert (run["status"], run["reply"]["text"]) == ("COMPLETED", kept + model_server.seen[-1].text)


async def forget_requests(model_server: ModelServer) -> None:
    """The next request is the first again."""
    async with httpx.AsyncClient() as http:
        await http.delete(model_server.base_url.removesuffix("/v1") + "/requests")
