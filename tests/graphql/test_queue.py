"""Scarce models: what waits for its turn, and is told its place."""

from typing import Any

import strawberry

from server.compose import Gus
from server.models_file import Catalogue
from server.settings import Settings
from tests.graphql.asked import told
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.process import new_user, process, served
from tests.graphql.rows import counts
from tests.model_server import ModelServer

SCARCE = {"settings": {"model": "scarce"}}
HANGS = script(fault="hang_first")

RUN = "query($id: ID!) {generation(id: $id) {status queuePosition startedAt endedAt lastSeq reply {status}}}"


async def run_of(ada: FrontEnd, sent: dict[str, Any]) -> dict[str, Any]:
    return dict((await ada.ask(RUN, id=sent["generation"]["id"]))["generation"])


async def started(ada: FrontEnd, sent: dict[str, Any]) -> list[dict[str, Any]]:
    """The events up to its start."""
    events = list[dict[str, Any]]()
    async with ada.following(sent["generation"]["id"]) as stream:
        while not events or events[-1]["__typename"] != "GenerationStarted":
            events.append(await anext(stream))
    return events


async def told_its_place(ada: FrontEnd, sent: dict[str, Any], place: int) -> None:
    async with ada.following(sent["generation"]["id"]) as stream:
        while (await anext(stream)).get("position") != place:
            continue


async def test_a_run_whose_turn_it_is_starts_at_once_without_a_place(ada: FrontEnd) -> None:
    sent = await ada.send(script(words=2), **SCARCE)
    assert (sent["generation"]["status"], sent["reply"]["status"]) == ("QUEUED", "PENDING")
    events = await ada.followed(sent["generation"]["id"])
    assert (events[0]["__typename"], events[0]["seq"]) == ("GenerationStarted", 1)
    assert events[-1]["status"] == "COMPLETED"


async def test_a_run_without_a_slot_waits_and_knows_its_place(ada: FrontEnd, model_server: ModelServer) -> None:
    first = await ada.send(HANGS, **SCARCE)
    await started(ada, first)
    second = await ada.send(script(words=1), **SCARCE)
    await told_its_place(ada, second, 1)
    run = await run_of(ada, second)
    assert (run["status"], run["queuePosition"], run["startedAt"]) == ("QUEUED", 1, None)
    assert run["reply"]["status"] == "PENDING"
    await ada.stop(first["generation"]["id"])
    events = await ada.followed(second["generation"]["id"])
    assert [event["__typename"] for event in events[:2]] == ["GenerationQueued", "GenerationStarted"]
    run = await run_of(ada, second)
    assert (run["status"], run["queuePosition"]) == ("COMPLETED", None)
    assert (await run_of(ada, first))["endedAt"] <= run["startedAt"]
    assert len(model_server.seen) == 2


async def test_places_fall_as_those_before_start(ada: FrontEnd) -> None:
    first, second, third = [await ada.send(HANGS, **SCARCE) for _ in range(3)]
    await told_its_place(ada, third, 2)
    await ada.stop(first["generation"]["id"])
    await told_its_place(ada, third, 1)
    await ada.stop(second["generation"]["id"])
    events = await started(ada, third)
    assert [event.get("position") for event in events] == [2, 1, None]
    assert [event["seq"] for event in events] == [1, 2, 3]


async def test_nobody_sits_through_the_whole_queue_of_another(
    ada: FrontEnd, bob: FrontEnd, model_server: ModelServer
) -> None:
    first = await ada.send(HANGS, **SCARCE)
    await started(ada, first)
    hers = [await ada.send(script(words=1, id=f"ada {number}"), **SCARCE) for number in range(3)]
    his = await bob.send(script(words=1, id="bob"), **SCARCE)
    await ada.stop(first["generation"]["id"])
    for sent in hers:
        await ada.followed(sent["generation"]["id"])
    assert [seen.script.id for seen in model_server.seen][1:] == ["ada 0", "bob", "ada 1", "ada 2"]
    assert (await bob.followed(his["generation"]["id"]))[-1]["status"] == "COMPLETED"


async def test_what_waits_is_active(ada: FrontEnd) -> None:
    runs = [(await ada.send(HANGS, **SCARCE))["generation"]["id"] for _ in range(2)]
    await started(ada, {"generation": {"id": runs[0]}})
    active = (await ada.ask("{viewer {activeGenerations {id status}}}"))["viewer"]["activeGenerations"]
    assert active == [{"id": runs[0], "status": "RUNNING"}, {"id": runs[1], "status": "QUEUED"}]


async def test_a_run_that_waits_is_stopped_and_gives_its_place_away(ada: FrontEnd, model_server: ModelServer) -> None:
    first = await ada.send(HANGS, **SCARCE)
    second, third = [await ada.send(script(words=1), **SCARCE) for _ in range(2)]
    await ada.stop(second["generation"]["id"])
    end = (await ada.followed(second["generation"]["id"]))[-1]
    assert (end["status"], end["finishReason"], end["usage"], end["cost"]) == ("STOPPED", "USER_STOP", None, None)
    await ada.stop(first["generation"]["id"])
    assert (await ada.followed(third["generation"]["id"]))[-1]["status"] == "COMPLETED"
    assert len(model_server.seen) == 2


async def test_models_of_other_servers_do_not_wait(ada: FrontEnd) -> None:
    await started(ada, await ada.send(HANGS, **SCARCE))
    assert (await ada.said(script(words=1)))["generation"]["status"] == "RUNNING"


async def test_a_conversations_queue_and_a_models_are_kept_both(ada: FrontEnd, model_server: ModelServer) -> None:
    elsewhere = await ada.send(HANGS, **SCARCE)
    await started(ada, elsewhere)
    first = await ada.send(script(say=["One."]), **SCARCE)
    second = await ada.send("Two?", **here(first), onBusy="ENQUEUE", **SCARCE)
    await ada.stop(elsewhere["generation"]["id"])
    await ada.followed(second["generation"]["id"])
    assert told(model_server) == [script(say=["One."]), "One.", "Two?"]


async def test_a_deleted_conversations_runs_leave_the_queue(ada: FrontEnd, gus: Gus, model_server: ModelServer) -> None:
    first, second = await ada.send(HANGS, **SCARCE), await ada.send(HANGS, **SCARCE)
    await started(ada, first)
    third = await ada.send(script(words=1), **SCARCE)
    delete = "mutation($id: ID!) {deleteConversation(conversation: $id) {__typename}}"
    for sent in (second, first):
        await ada.ask(delete, id=sent["conversation"]["id"])
    assert (await ada.followed(third["generation"]["id"]))[-1]["status"] == "COMPLETED"
    assert len(model_server.seen) == 2
    ended = await gus.database.fetch("SELECT finish_reason FROM generations WHERE status = 'STOPPED'")
    assert [row["finish_reason"] for row in ended] == ["CANCELLED"] * 2
    assert (await counts(gus.database))["generations"] == 3


async def test_what_waits_for_a_model_that_has_left_every_configuration_fails_and_says_so(
    database_url: str, settings: Settings, catalogue: Catalogue, built: strawberry.Schema
) -> None:
    async with process(database_url, settings.model_copy(update={"lease_seconds": 1}), catalogue) as gus:
        ada = FrontEnd(served(gus, built), await new_user(gus, "Ada", can_manage=False))
        await started(ada, await ada.send(HANGS, **SCARCE))
        waiting = await ada.send(script(words=1), **SCARCE)
        left = "UPDATE generations SET model_key = 'left', queued_at = now() - interval '2 minutes' WHERE status = 'QUEUED'"
        await gus.database.execute(left)
        end = (await ada.followed(waiting["generation"]["id"]))[-1]
    assert (end["status"], end["error"]["code"], end["error"]["retryable"]) == ("FAILED", "MODEL_UNREACHABLE", False)


async def test_a_continuation_waits_for_its_turn_and_keeps_the_text(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.said(script(words=2, finish="length"), **SCARCE)
    other = await ada.send(HANGS, **SCARCE)
    await started(ada, other)
    on = await ada.go_on(sent["reply"]["id"])
    kept = model_server.seen[0].text
    assert (on["generation"]["status"], on["reply"]["status"], on["reply"]["text"]) == ("QUEUED", "PENDING", kept)
    query = "query($id: ID!) {message(id: $id) {text status}}"
    assert (await ada.ask(query, id=sent["reply"]["id"]))["message"] == {"text": kept, "status": "PENDING"}
    await ada.stop(other["generation"]["id"])
    end = (await ada.followed(on["generation"]["id"]))[-1]
    assert end["reply"]["text"] == kept + model_server.seen[-1].text


async def test_a_continuation_that_is_stopped_while_it_waits_keeps_the_text(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    sent = await ada.said(script(words=2, finish="length"), **SCARCE)
    await started(ada, await ada.send(HANGS, **SCARCE))
    on = await ada.go_on(sent["reply"]["id"])
    await ada.stop(on["generation"]["id"])
    end = (await ada.followed(on["generation"]["id"]))[-1]
    assert (end["status"], end["reply"]["text"]) == ("STOPPED", model_server.seen[0].text)


async def test_a_continuation_that_does_not_fit_when_its_turn_comes_fails_and_keeps_the_text(
    ada: FrontEnd, gus: Gus, model_server: ModelServer
) -> None:
    sent = await ada.said(script(words=30, finish="length"), **SCARCE)
    other = await ada.send(HANGS, **SCARCE)
    await started(ada, other)
    on = await ada.go_on(sent["reply"]["id"])
    # As after a restart with a smaller window.
    await gus.database.execute("UPDATE generations SET model_key = 'small' WHERE status = 'QUEUED'")
    await ada.stop(other["generation"]["id"])
    end = (await ada.followed(on["generation"]["id"]))[-1]
    assert (end["status"], end["error"]["code"]) == ("FAILED", "CONTEXT_TOO_LARGE")
    assert end["reply"]["text"] == model_server.seen[0].text
