"""What a model is given: the report of it, the request that it tells of to the byte, and what its user is told."""

from hashlib import sha256
from typing import Any

import strawberry

from server.compose import Gus
from server.models_file import Catalogue
from server.settings import Settings
from tests.graphql.asked import told, turns
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.process import process, served
from tests.graphql.rebuilding import rebuilt
from tests.graphql.test_instruction import publish, say
from tests.model_server import Counting, ModelServer

TIGHT = {"settings": {"model": "tight"}}
COUNTED = {"settings": {"model": "counted"}}
FILLER = " why do all the leaves fall so early in this dry year" * 4

REPORT = """
query($id: ID!) {
  generation(id: $id) {
    notices { code }
    usage { inputTokens }
    context {
      strategy includedCount excludedCount trimmed estimatedInputTokens providerInputTokens contextWindow
      providerTruncated promptSha256
      included(first: 100) { nodes { id text } pageInfo { hasPreviousPage } }
      excluded(first: 100) { nodes { id } pageInfo { hasNextPage } }
      left: excluded(last: 1) { nodes { id } pageInfo { hasPreviousPage hasNextPage } }
      instructions { scope key version }
      newest: included(last: 2) { nodes { id } pageInfo { hasPreviousPage } }
    }
  }
}
"""


async def run_of(ada: FrontEnd, sent: dict[str, Any]) -> dict[str, Any]:
    return dict((await ada.ask(REPORT, id=sent["generation"]["id"]))["generation"])


async def talk(ada: FrontEnd, turns: int, **settings: object) -> list[dict[str, Any]]:
    sent = [await ada.said(script(say=["0."]), **settings)]
    for turn in range(1, turns):
        sent.append(await ada.said(script(say=[f"{turn}."], id=FILLER), **settings, **here(sent[0])))
    return sent


async def test_a_run_reports_what_its_model_was_given(ada: FrontEnd, model_server: ModelServer) -> None:
    first = await ada.said(script(say=["Wood."], prompt_tokens=77))
    second = await ada.said("And leaves?", **here(first))
    context = (await run_of(ada, second))["context"]
    assert [message["text"] for message in context["included"]["nodes"]] == told(model_server)
    assert (context["strategy"], context["includedCount"], context["excludedCount"]) == ("SLIDING_WINDOW", 3, 0)
    assert (context["trimmed"], context["providerTruncated"], context["contextWindow"]) == (False, False, 65_536)
    assert context["promptSha256"] == sha256(model_server.seen[-1].raw).hexdigest()
    assert (await run_of(ada, first))["context"]["providerInputTokens"] == 77


async def test_a_report_is_there_while_the_model_is_silent_and_no_statement_dearer(ada: FrontEnd) -> None:
    sent = await ada.send(script(fault="hang_first"))
    context = (await run_of(ada, sent))["context"]
    assert (context["includedCount"], context["providerInputTokens"]) == (1, None)


async def test_a_queued_run_reports_when_its_turn_came(ada: FrontEnd, model_server: ModelServer) -> None:
    first = await ada.send(script(say=["Wood."], first_delay_ms=300))
    second = await ada.send("And leaves?", **here(first), onBusy="ENQUEUE")
    assert (await run_of(ada, second))["context"] is None
    await ada.followed(second["generation"]["id"])
    context = (await run_of(ada, second))["context"]
    assert context["includedCount"] == 3
    assert context["promptSha256"] == sha256(model_server.seen[-1].raw).hexdigest()
    assert told(model_server)[1] == "Wood."


async def test_a_fallback_reports_its_own_request(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=1, fault="unavailable_503", times=1), settings={"model": "backed"})
    context = (await run_of(ada, sent))["context"]
    assert context["promptSha256"] == sha256(model_server.seen[-1].raw).hexdigest()


async def test_old_turns_fall_out_whole_and_their_user_is_told(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await talk(ada, 8, **TIGHT)
    run = await run_of(ada, sent[-1])
    context = run["context"]
    assert context["trimmed"]
    assert context["includedCount"] + context["excludedCount"] == 15
    assert context["excludedCount"] % 2 == 0
    assert run["notices"] == sent[-1]["notices"] == [{"code": "CONTEXT_TRIMMED"}]
    assert sent[0]["notices"] == []
    assert [message["text"] for message in context["included"]["nodes"]] == told(model_server)
    assert context["included"]["pageInfo"]["hasPreviousPage"] is False
    assert context["newest"]["pageInfo"]["hasPreviousPage"] is (context["includedCount"] > 2)
    assert turns(model_server)[0]["role"] == "user"
    whole = [message["id"] for side in ("excluded", "included") for message in context[side]["nodes"]]
    assert whole == [message for one in sent for message in (one["userMessage"]["id"], one["reply"]["id"])][:-1]
    assert len(context["excluded"]["nodes"]) == context["excludedCount"]
    assert context["left"]["nodes"] == context["excluded"]["nodes"][-1:]
    assert context["left"]["pageInfo"] == {"hasPreviousPage": True, "hasNextPage": False}
    assert (await run_of(ada, sent[0]))["context"]["excluded"]["nodes"] == []


async def test_instructions_are_named_strongest_first_and_take_their_room(
    ada: FrontEnd, grace: FrontEnd, model_server: ModelServer
) -> None:
    plain = await ada.said("Hello", settings={"model": "counted"})
    await say(ada, "Mine.")
    await publish(grace, "PLATFORM", "Be kind.")
    told_all = await ada.said("Hello", newConversation={"instruction": "Rhyme."}, instruction="Shout.", **COUNTED)
    context = (await run_of(ada, told_all))["context"]
    names = [(each["scope"], each["key"], each["version"]) for each in context["instructions"]]
    assert names == [("PLATFORM", "", 1), ("USER", "", 1), ("CONVERSATION", "", 1), ("REQUEST", "", 1)]
    system = len(turns(model_server)[0]["content"].split())
    without = (await run_of(ada, plain))["context"]["estimatedInputTokens"]
    assert context["estimatedInputTokens"] == without + system == context["providerInputTokens"]


async def test_every_request_is_rebuilt_to_the_byte(
    ada: FrontEnd,
    grace: FrontEnd,
    gus: Gus,
    model_server: ModelServer,
    database_url: str,
    settings: Settings,
    catalogue: Catalogue,
    built: strawberry.Schema,
) -> None:
    """After edits, a continued reply, new versions of every instruction, a wait in a queue, and a restart."""
    runs = await talk(ada, 6, **TIGHT, instruction="Be brief.")
    first = runs[0]
    await publish(grace, "PLATFORM", "Be kind.")
    await say(ada, "Rhyme.")
    runs.append(await ada.said(script(words=3, finish="length"), **here(first), settings={"seed": 7, "stop": ["END"]}))
    await publish(grace, "PLATFORM", "Be very kind.", version=1)
    await say(ada, None)
    await ada.update(first["conversation"]["id"], instruction="Shout.", title="Trees")
    runs.append(await ended(ada, await ada.go_on(runs[-1]["reply"]["id"], maxOutputTokens=20)))
    runs.append(await ended(ada, await ada.edit(first["userMessage"]["id"], "Another beginning")))
    runs.append(await ended(ada, await ada.regenerate(runs[3]["reply"]["id"], settings={"temperature": 0.5})))
    object_of = {"model": "formal", "responseFormat": {"type": "JSON_OBJECT"}}
    runs.append(await ada.said(script(say=["{}"]), **here(first), settings=object_of))
    slow = await ada.send(script(words=2, first_delay_ms=200), **here(first))
    queued = await ada.send("In turn", **here(first), onBusy="ENQUEUE")
    runs += [await ended(ada, slow), await ended(ada, queued)]
    await publish(grace, "PLATFORM", "", version=2)
    await ada.update(first["conversation"]["id"], instruction=None)
    async with process(database_url, settings, catalogue) as restarted:
        await ada.at(served(restarted, built)).said("And after a restart?", **here(first))
        requests = [seen.raw for seen in model_server.seen if seen.path.endswith("completions")]
        assert len(requests) == len(runs) + 1 == 14
        for request, run in zip(requests, runs, strict=False):
            again = await rebuilt(restarted, run["generation"]["id"])
            assert again == request
            assert sha256(again).hexdigest() == (await run_of(ada, run))["context"]["promptSha256"]


async def ended(ada: FrontEnd, sent: dict[str, Any]) -> dict[str, Any]:
    await ada.followed(sent["generation"]["id"])
    return sent


async def test_a_server_that_reads_far_less_than_it_was_sent_is_told_of(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.said(script(say=["Hm."], prompt_tokens=64, id="x" * 4000))
    run = await run_of(ada, sent)
    assert (run["notices"], run["context"]["providerTruncated"]) == ([{"code": "PROVIDER_TRUNCATED"}], True)
    assert (run["usage"]["inputTokens"], run["context"]["providerInputTokens"]) == (64, 64)
    events = await ada.followed(sent["generation"]["id"])
    assert [event["notice"]["code"] for event in events if event["__typename"] == "NoticeRaised"] == [
        "PROVIDER_TRUNCATED"
    ]


async def test_a_server_that_counts_is_asked_for_what_is_new_alone(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = [await ada.said(script(words=3), **COUNTED)]
    model_server.counted.clear()
    sent.append(await ada.said("One two three", **COUNTED, **here(sent[0])))
    assert [request.body["messages"] for request in model_server.counted] == [
        [{"role": "user", "content": "One two three"}]
    ]
    for one in sent:
        context = (await run_of(ada, one))["context"]
        assert context["estimatedInputTokens"] == context["providerInputTokens"]


async def test_messages_tell_their_tokens_as_far_as_servers_have_counted_them(ada: FrontEnd) -> None:
    told = "userMessage {tokens} reply {id tokens} generation {id}"
    of_both = (
        f"mutation($input: SendMessageInput!) {{sendMessage(input: $input) {{... on SendMessageSuccess {{{told}}}}}}}"
    )
    given = {"text": "One two three", "idempotencyKey": "k", "settings": {"model": "counted"}}
    sent = (await ada.ask(of_both, input=given))["sendMessage"]
    assert (sent["userMessage"], sent["reply"]["tokens"]) == ({"tokens": 3}, None)
    await ada.followed(sent["generation"]["id"])
    asked = "query($id: ID!) {message(id: $id) {tokens parent {tokens} usage {outputTokens}}}"
    reply = (await ada.ask(asked, id=sent["reply"]["id"]))["message"]
    assert (reply["parent"], reply["tokens"]) == ({"tokens": 3}, reply["usage"]["outputTokens"])

    uncounted = await ada.said("One two three")
    asked = "query($id: ID!) {message(id: $id) {tokens usage {requests outputTokens cost}}}"
    nothing = {"requests": 0, "outputTokens": 0, "cost": "0"}
    assert (await ada.ask(asked, id=uncounted["userMessage"]["id"]))["message"] == {"tokens": None, "usage": nothing}


async def test_whatever_a_counting_server_does_an_answer_is_not_held_up(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    for fault in (Counting.NONSENSE, Counting.BROKEN, Counting.HANGS):
        model_server.counting = fault
        sent = await ada.said("One two three", **COUNTED)
        assert (await run_of(ada, sent))["context"]["estimatedInputTokens"] > 40
    assert len(model_server.counted) == 3  # all at once for the first send; then it is left alone


async def test_a_policy_of_the_conversation_binds_sends_and_what_is_queued(ada: FrontEnd) -> None:
    policy = {"strategy": "FAIL", "maxInputTokens": 200}
    long = script(words=200, first_delay_ms=300)
    first = await ada.send(long, newConversation={"contextPolicy": policy})
    refused = await ada.send("word " * 200, **here(first), onBusy="ENQUEUE")
    assert (refused["code"], refused["limitTokens"]) == ("CONTEXT_TOO_LARGE", 200 + 1024)
    queued = await ada.send("And now?", **here(first), onBusy="ENQUEUE")
    events = await ada.followed(queued["generation"]["id"])
    assert events[-1]["error"]["code"] == "CONTEXT_TOO_LARGE"
