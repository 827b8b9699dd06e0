"""Answers held to JSON: what the model server is told, what is checked, and how an answer that fails is repaired."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import strawberry

from server.compose import Gus
from server.models_file import Catalogue
from server.settings import Settings
from tests.graphql.asked import told, turns
from tests.graphql.documents import CONVERSATION_EVENTS, EVENTS, SEND
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.limits import limit, quota
from tests.graphql.process import process, served
from tests.graphql.rows import unchanged
from tests.model_server import ModelServer

OBJECT = {"type": "JSON_OBJECT"}
SCHEMA = {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "string"}}, "required": ["a"]}
FORMAT = {"type": "JSON_SCHEMA", "schema": SCHEMA}
GOOD = '{"a": "x"}'
BAD = '{"b": 5}'
REPAIRED = script(say=[BAD], then={"say": [GOOD]})

REPLY = "query($id: ID!) {message(id: $id) {text status generation {id}}}"

RUN = """
query($id: ID!) {
  generation(id: $id) {
    status finishReason lastSeq error { code retryable } notices { code } usage { inputTokens outputTokens source }
    settings { responseFormat { type schema } } attempts { outcome } context { providerInputTokens } reply { id text status }
  }
}
"""


def held(form: dict[str, Any] = FORMAT, **settings: object) -> dict[str, Any]:
    return {"settings": {"responseFormat": form, **settings}}


async def run_of(ada: FrontEnd, sent: dict[str, Any]) -> dict[str, Any]:
    return dict((await ada.ask(RUN, id=sent["generation"]["id"]))["generation"])


async def events_of(ada: FrontEnd, sent: dict[str, Any], after: int = 0) -> list[dict[str, Any]]:
    page = (await ada.ask(EVENTS, generation=sent["generation"]["id"], after=after, first=500))["generation"]["events"]
    return list(page["events"])


def applied(events: list[dict[str, Any]], text: str = "") -> str:
    """What a client makes of them."""
    for event in events:
        if event["__typename"] == "TextDelta":
            assert event["offset"] == len(text)
            text += event["text"]
        elif event["__typename"] == "TextTruncated":
            text = text[: event["length"]]
    return text


async def in_a_repair(ada: FrontEnd, then: object = None, **settings: object) -> dict[str, Any]:
    """The second answer has begun, and hangs; `then`: how the model answers the third time."""
    second = {"say": ['{"a":', "?"], "fault": "hang_between", "after": 1, "then": then}
    sent = await ada.send(script(say=["not json"], then=second), **held(FORMAT, **settings))
    async with ada.following(sent["generation"]["id"]) as stream:
        while (await anext(stream)).get("text") != '{"a":':
            continue
    return sent


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["__typename"] for event in events]


@pytest.fixture
async def there(
    ada: FrontEnd, database_url: str, settings: Settings, catalogue: Catalogue, built: strawberry.Schema
) -> AsyncIterator[FrontEnd]:
    """Ada at another process."""
    async with process(database_url, settings, catalogue) as gus:
        yield ada.at(served(gus, built))


async def test_an_answer_that_is_valid_is_as_any_other(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.said(script(say=['{"a":', ' "x"}']), **held())
    run = await run_of(ada, sent)
    assert (run["status"], run["error"], run["notices"]) == ("COMPLETED", None, [])
    assert (run["reply"]["text"], run["reply"]["status"]) == (GOOD, "COMPLETE")
    assert run["settings"] == {"responseFormat": FORMAT}
    assert list(run["settings"]["responseFormat"]["schema"]["properties"]) == ["b", "a"]
    assert len(model_server.seen) == 1


async def test_a_server_that_can_hold_answers_to_a_form_is_told_of_it_and_no_other_is(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    async def asked(form: dict[str, Any], model: str) -> object:
        await ada.said(script(say=[GOOD]), **held(form, model=model))
        return model_server.seen[-1].body.get("response_format")

    wrapped = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
    assert await asked(FORMAT, "formal") == wrapped
    assert await asked(OBJECT, "formal") == {"type": "json_object"}
    assert await asked({"type": "TEXT"}, "formal") is None
    assert await asked(FORMAT, "scripted") is None


async def test_a_conversations_form_is_that_of_its_replies_unless_a_send_says_another(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    conversation = (await ada.create(settings={"responseFormat": OBJECT, "model": "formal"}))["conversation"]["id"]

    async def form(**input: object) -> object:
        sent = await ada.said(script(say=[GOOD]), conversation=conversation, **input)
        return (await run_of(ada, sent))["settings"]["responseFormat"]

    assert await form() == {"type": "JSON_OBJECT", "schema": None}
    assert await form(**held()) == FORMAT
    assert await form(**held({"type": "TEXT"})) == {"type": "TEXT", "schema": None}
    await ada.update(conversation, settings={"responseFormat": FORMAT})
    assert await form() == FORMAT
    await ada.update(conversation, settings={"responseFormat": None})
    assert await form() is None
    assert model_server.seen[-1].body.get("response_format") is None


async def test_an_edit_and_a_regeneration_are_held_to_their_forms(ada: FrontEnd) -> None:
    sent = await ada.said(script(say=[GOOD]), **held())
    again = await ada.regenerate(sent["reply"]["id"])
    await ada.followed(again["generation"]["id"])
    assert (await run_of(ada, again))["settings"]["responseFormat"] == FORMAT
    edited = await ada.edit(sent["userMessage"]["id"], script(say=["no"]), **held(OBJECT))
    await ada.followed(edited["generation"]["id"])
    assert (await run_of(ada, edited))["error"]["code"] == "INVALID_JSON"


async def test_an_invalid_answer_is_cut_away_and_another_takes_its_place(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    sent = await ada.said(REPAIRED, **held())
    events = await events_of(ada, sent)
    assert kinds(events) == [
        "GenerationStarted",
        "TextDelta",
        "TextTruncated",
        "TextDelta",
        "NoticeRaised",
        "GenerationFinished",
    ]
    assert (events[1]["text"], events[2]["length"], events[2]["reason"]) == (BAD, 0, "REPAIR")
    assert (events[3]["text"], events[3]["offset"]) == (GOOD, 0)
    assert events[4]["notice"] == {"code": "OUTPUT_REPAIRED"}
    run = await run_of(ada, sent)
    assert (run["status"], run["reply"]["text"]) == ("COMPLETED", GOOD)
    assert run["notices"] == [{"code": "OUTPUT_REPAIRED"}]
    assert [attempt["outcome"] for attempt in run["attempts"]] == ["ANSWERED", "ANSWERED"]


async def test_the_tokens_of_both_tries_are_counted_as_reported(ada: FrontEnd) -> None:
    then = {"say": [GOOD], "prompt_tokens": 30}
    sent = await ada.said(script(say=["o", "h"], prompt_tokens=20, then=then), **held())
    run = await run_of(ada, sent)
    assert run["usage"] == {"inputTokens": 50, "outputTokens": 3, "source": "PROVIDER"}
    # Of one prompt it tells nothing, nor how the model counts.
    assert run["context"] == {"providerInputTokens": None}


async def test_what_both_tries_may_take_is_held_and_what_they_took_is_paid_once(ada: FrontEnd, grace: FrontEnd) -> None:
    await limit(grace, "TOKENS", "DAY", "1000000")
    sent = await in_a_repair(ada, maxOutputTokens=1000)
    # Twice the longest answer, and both prompts.
    assert 2000 < int((await quota(ada))["reserved"]) < 3000
    await ada.stop(sent["generation"]["id"])
    usage = (await ada.followed(sent["generation"]["id"]))[-1]["usage"]
    after = await quota(ada)
    assert (after["used"], after["reserved"]) == (str(usage["inputTokens"] + usage["outputTokens"]), "0")


async def test_the_model_is_told_what_was_wrong_and_what_is_wanted(ada: FrontEnd, model_server: ModelServer) -> None:
    for model in ("scripted", "formal"):
        await ada.said(script(say=[BAD], then={"say": [GOOD]}, id=model), **held(model=model))
        first, second = told(model_server, -2), told(model_server)
        assert len(first) == len(second) == 1
        assert second[0].startswith(first[0])
        assert "$: 'a' is a required property." in second[0]
        # A server that has the schema need not read it.
        assert (json.dumps(SCHEMA, separators=(",", ":")) in second[0]) is (model == "scripted")


async def test_an_answer_that_is_invalid_twice_fails_with_its_text_and_can_be_regenerated(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    sent = await ada.said(script(say=[BAD], then={"say": ["[", "]"]}), **held())
    run = await run_of(ada, sent)
    assert (run["status"], run["finishReason"]) == ("FAILED", "ERROR")
    assert run["error"] == {"code": "INVALID_JSON", "retryable": True}
    assert (run["reply"]["text"], run["reply"]["status"]) == ("[]", "FAILED")
    assert (run["notices"], len(model_server.seen)) == ([], 2)
    # What an invalid answer says is told to the model as any other.
    await ada.said("Again?", **here(sent))
    assert [turn["content"] for turn in turns(model_server)][1] == "[]"


async def test_read_from_anywhere_the_log_makes_the_same_text(ada: FrontEnd) -> None:
    bad, good = [f"{word} " for word in range(9)], ['{"a":', ' "', *["y"] * 9, '"}']
    sent = await ada.said(script(say=bad, delay_ms=5, then={"say": good, "delay_ms": 5}), **held())
    events, stored = await events_of(ada, sent), (await run_of(ada, sent))["reply"]["text"]
    assert stored == '{"a": "yyyyyyyyy"}'
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    for seq in range(len(events) + 1):
        assert applied(await events_of(ada, sent, seq), applied(events[:seq])) == stored


async def test_a_reader_in_the_middle_of_a_repair_sees_what_the_log_says(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    then = {"say": ['{"a"', ": 1}"], "fault": "hang_between", "after": 1}
    sent = await ada.send(script(say=["not ", "json"], then=then), **held())
    events: list[dict[str, Any]] = []
    async with ada.following(sent["generation"]["id"]) as stream:
        while not events or events[-1].get("text") != '{"a"':
            events.append(await anext(stream))
    assert applied(events) == (await run_of(ada, sent))["reply"]["text"] == '{"a"'
    shown = [event for event in events if event["__typename"] == "TextDelta"]
    assert shown[-1]["textSoFar"] == '{"a"'
    # Who reads the beginning meanwhile is told of the beginning.
    again = [event["textSoFar"] for event in await events_of(ada, sent) if event["__typename"] == "TextDelta"]
    assert again[-1] == '{"a"'
    assert again[:-1] == [event["textSoFar"] for event in shown[:-1]]
    async with ada.following(sent["generation"]["id"], snapshot=True) as stream:
        assert (await anext(stream))["reply"]["text"] == '{"a"'


@pytest.mark.parametrize("seen", ["all", "the first answer"])
async def test_a_stop_in_the_middle_of_a_repair_leaves_what_the_log_says(ada: FrontEnd, seen: str) -> None:
    sent = await in_a_repair(ada)
    generation = sent["generation"]["id"]
    await ada.stop(generation, None if seen == "all" else 2)
    events = await ada.followed(generation)
    assert events[-1]["status"] == "STOPPED"
    run = await run_of(ada, sent)
    assert applied(events) == run["reply"]["text"] == ('{"a":' if seen == "all" else "")


async def test_a_process_that_leaves_in_a_repair_hands_over_and_the_whole_is_checked(
    ada: FrontEnd, gus: Gus, there: FrontEnd, model_server: ModelServer
) -> None:
    # The third request goes on where the second was cut, and the fourth repairs that.
    rest = {"say": ["?}"], "then": {"say": ['"x"}']}}
    sent = await in_a_repair(ada, then=rest)
    async with there.watching(CONVERSATION_EVENTS, **here(sent), after=3) as events:
        await gus.runs.drain()
        while (await anext(events))["__typename"] != "ReplyStarted":
            continue
    left = await there.followed(sent["generation"]["id"])
    assert (left[-1]["status"], applied(left)) == ("INTERRUPTED", '{"a":')
    on = (await there.ask(REPLY, id=sent["reply"]["id"]))["message"]["generation"]["id"]
    events_on = await there.followed(on)
    assert kinds(events_on)[1:] == ["TextDelta", "TextTruncated", "TextDelta", "NoticeRaised", "GenerationFinished"]
    assert (events_on[2]["length"], applied(events_on, '{"a":')) == (5, '{"a":"x"}')
    reply = (await there.ask(REPLY, id=sent["reply"]["id"]))["message"]
    assert (reply["text"], reply["status"]) == ('{"a":"x"}', "COMPLETE")
    assert len(model_server.seen) == 4


async def test_a_repair_whose_process_is_lost_ends_with_what_stands_there(
    ada: FrontEnd, gus: Gus, database_url: str, settings: Settings, catalogue: Catalogue, built: strawberry.Schema
) -> None:
    sent = await in_a_repair(ada)
    lost = "UPDATE generations SET node = gen_random_uuid(), lease_until = now() - interval '1 hour'"
    async with process(database_url, settings.model_copy(update={"lease_seconds": 1}), catalogue) as other:
        await gus.database.execute(lost)
        events = await ada.at(served(other, built)).followed(sent["generation"]["id"])
    assert (events[-1]["status"], events[-1]["reply"]["text"]) == ("INTERRUPTED", '{"a":')
    assert applied(events) == '{"a":'
    estimate = (await gus.database.fetch("SELECT estimated_input_tokens FROM generations"))[0]["estimated_input_tokens"]
    # Two prompts, a word of the one answer and one of the other.
    assert events[-1]["usage"] == {"inputTokens": 2 * estimate, "outputTokens": 2, "source": "PARTIAL"}


async def test_of_a_continued_reply_the_whole_is_checked(ada: FrontEnd, model_server: ModelServer) -> None:
    text = script(say=['{"a":'], finish="length", then={"say": ['{"a":'], "then": {"say": ['"x"}']}})
    sent = await ada.said(text, **held(model="formal"))
    # Cut short it is not valid, and neither is the next try.
    assert (await run_of(ada, sent))["error"]["code"] == "INVALID_JSON"
    on = await ada.go_on(sent["reply"]["id"])
    await ada.followed(on["generation"]["id"])
    run = await run_of(ada, on)
    assert (run["status"], run["reply"]["text"], run["notices"]) == ("COMPLETED", '{"a":"x"}', [])
    assert run["settings"] == {"responseFormat": FORMAT}
    # The server would begin the form anew in the middle of it.
    assert ["response_format" in seen.body for seen in model_server.seen] == [True, True, False]


async def test_a_continued_reply_that_is_invalid_keeps_what_stood_there(ada: FrontEnd) -> None:
    text = script(say=['{"a":'], then={"say": ['{"a":'], "then": {"say": ["?"], "then": {"say": ["!"]}}})
    sent = await ada.said(text, **held())
    on = await ada.go_on(sent["reply"]["id"])
    events = await ada.followed(on["generation"]["id"])
    assert (events[2]["reason"], events[2]["length"]) == ("REPAIR", 5)
    assert (events[-1]["error"]["code"], events[-1]["reply"]["text"]) == ("INVALID_JSON", '{"a":!')
    assert applied(events, '{"a":') == '{"a":!'


@pytest.mark.parametrize(
    ("form", "rule", "path"),
    [
        ({"type": "JSON_SCHEMA"}, "REQUIRED", []),
        ({"type": "JSON_SCHEMA", "schema": None}, "REQUIRED", []),
        ({"type": "JSON_OBJECT", "schema": {}}, "CONFLICTING_FIELDS", []),
        ({"type": "TEXT", "schema": {}}, "CONFLICTING_FIELDS", []),
        ({"type": "JSON_SCHEMA", "schema": {"title": "x" * 16_384}}, "TOO_LONG", []),
        ({"type": "JSON_SCHEMA", "schema": {"title": "\ud800"}}, "FORBIDDEN_CHARACTER", []),
        ({"type": "JSON_SCHEMA", "schema": "object"}, "INVALID_JSON_SCHEMA", []),
        ({"type": "JSON_SCHEMA", "schema": {"items": {"type": "number?"}}}, "INVALID_JSON_SCHEMA", ["items", "type"]),
        ({"type": "JSON_SCHEMA", "schema": {"pattern": "(a+)+$"}}, "INVALID_JSON_SCHEMA", ["pattern"]),
        ({"type": "JSON_SCHEMA", "schema": {"$ref": "http://x.org/y"}}, "INVALID_JSON_SCHEMA", ["$ref"]),
    ],
)
async def test_a_form_that_makes_no_sense_is_refused_wherever_it_is_given(
    ada: FrontEnd, gus: Gus, form: dict[str, Any], rule: str, path: list[str]
) -> None:
    conversation = (await ada.create())["conversation"]["id"]
    for asking, root in (
        (ada.send("Hello", **held(form)), ["input", "settings"]),
        (ada.send("Hello", newConversation=held(form)), ["input", "newConversation", "settings"]),
        (ada.create(**held(form)), ["input", "settings"]),
        (ada.update(conversation, **held(form)), ["input", "settings"]),
    ):
        refused = await unchanged(gus, asking)
        [problem] = refused["problems"]
        assert (problem["rule"], problem["path"]) == (rule, [*root, "responseFormat", "schema", *path])


async def test_a_schema_is_written_into_a_document_as_well(ada: FrontEnd) -> None:
    mutation = """
    mutation($kind: JSON) {
      sendMessage(input: {text: "Hello", idempotencyKey: "k", settings: {
        responseFormat: {type: JSON_SCHEMA, schema: {type: $kind, minItems: 1, items: {enum: [1, 2.5, null, true]}}}
      }}) { ... on SendMessageSuccess { generation { settings { responseFormat { schema } } } } }
    }"""
    schema = (await ada.ask(mutation, kind="array"))["sendMessage"]["generation"]["settings"]["responseFormat"][
        "schema"
    ]
    assert schema == {"type": "array", "minItems": 1, "items": {"enum": [1, 2.5, None, True]}}


async def test_a_schema_that_is_no_json_is_a_bad_variable(ada: FrontEnd) -> None:
    deep: object = 1
    for _ in range(101):
        deep = [deep]
    given = {"text": "x", "idempotencyKey": "k", **held({"type": "JSON_SCHEMA", "schema": {"default": deep}})}
    assert await ada.refused(SEND, input=given) == ["BAD_VARIABLES"]
    form = "{type: JSON_SCHEMA, schema: {default: 1e999}}"
    call = f'sendMessage(input: {{text: "x", idempotencyKey: "k", settings: {{responseFormat: {form}}}}})'
    written = f"mutation {{{call} {{__typename}}}}"
    assert await ada.refused(written) == ["VALIDATION_FAILED"]
