"""Admission: what limits let through and what they refuse, and that a refusal changes nothing."""

from decimal import Decimal
from typing import Any

import pytest
import strawberry

from server.compose import Gus
from server.models_file import Catalogue
from server.settings import Settings
from tests.graphql.front_end import FrontEnd, here, outlined, script
from tests.graphql.limits import SET_QUOTA, assert_settled, limit, quota, quotas, user_id
from tests.graphql.process import process, served
from tests.graphql.rows import unchanged
from tests.model_server import ModelServer

HANGS = script(words=9, after=3, fault="hang_between")
WINDOWS = ("MINUTE", "HOUR", "DAY", "MONTH")


@pytest.mark.parametrize("window", WINDOWS)
async def test_what_would_go_past_a_hard_limit_is_refused_and_changes_nothing(
    ada: FrontEnd, grace: FrontEnd, gus: Gus, window: str
) -> None:
    await limit(grace, "MESSAGES", window, "2")
    for _ in range(2):
        await ada.said(script(words=1))
    refused = await unchanged(gus, ada.send(script(words=1)))
    assert (refused["__typename"], refused["code"], refused["retryable"]) == ("QuotaExceeded", "QUOTA_EXCEEDED", True)
    assert 0 < refused["retryAfter"] <= 31 * 86_400
    assert refused["quota"] == {
        "id": refused["quota"]["id"],
        "scope": "PLAN",
        "metric": "MESSAGES",
        "window": window,
        "softLimit": None,
        "hardLimit": "2",
        "used": "2",
        "reserved": "0",
        "remaining": "0",
        "state": "HARD_EXCEEDED",
        "resetsAt": refused["quota"]["resetsAt"],
    }


async def test_so_many_sends_in_one_document_are_so_many_admissions(ada: FrontEnd, grace: FrontEnd, gus: Gus) -> None:
    await limit(grace, "MESSAGES", "DAY", "3")
    sends = " ".join(
        f"""s{number}: sendMessage(input: {{text: "Hello", idempotencyKey: "aliased-send-{number}"}}) {{ __typename }}"""
        for number in range(5)
    )
    told = await ada.ask(f"mutation {{ {sends} }}")
    assert [each["__typename"] for each in told.values()] == ["SendMessageSuccess"] * 3 + ["QuotaExceeded"] * 2
    assert (await quota(ada))["used"] == "3"
    assert await gus.database.fetchrow("SELECT count(*) AS runs FROM generations") == (3,)


@pytest.mark.parametrize("metric", ["TOKENS", "COST"])
async def test_the_most_that_a_run_may_take_is_held_until_it_ends(ada: FrontEnd, grace: FrontEnd, metric: str) -> None:
    await limit(grace, metric, "DAY", "1000000")
    sent = await ada.send(HANGS)
    await ada.heard(sent["generation"]["id"])
    during = await quota(ada)
    run = (await ada.ask("query($id: ID!) {generation(id: $id) {reserved}}", id=sent["generation"]["id"]))["generation"]
    assert during["used"] == "0"
    assert Decimal(during["reserved"]) > 1000 if metric == "TOKENS" else during["reserved"] == run["reserved"]
    await ada.stop(sent["generation"]["id"])
    end = (await ada.followed(sent["generation"]["id"]))[-1]
    after = await quota(ada)
    taken = end["cost"] if metric == "COST" else str(end["usage"]["inputTokens"] + end["usage"]["outputTokens"])
    assert (after["used"], after["reserved"]) == (taken, "0")


async def test_of_several_limits_each_is_held_and_the_longest_wait_is_told(
    ada: FrontEnd, grace: FrontEnd, gus: Gus
) -> None:
    await limit(grace, "MESSAGES", "MONTH", "1")
    await limit(grace, "TOKENS", "MINUTE", "10")
    await limit(grace, "COST", "DAY", "100")
    refused = await unchanged(gus, ada.send("Hi"))
    assert (refused["quota"]["metric"], refused["retryable"]) == ("TOKENS", False)
    await limit(grace, "TOKENS", "MINUTE", "1000000")
    await ada.said(script(words=1))
    await limit(grace, "TOKENS", "MINUTE", "10")
    refused = await unchanged(gus, ada.send("Hi"))
    assert refused["quota"]["metric"] == "MESSAGES"


async def test_as_many_replies_as_are_allowed_are_written_at_once(ada: FrontEnd, grace: FrontEnd, gus: Gus) -> None:
    await limit(grace, "CONCURRENT_GENERATIONS", "INSTANT", "2")
    running = [await ada.send(HANGS) for _ in range(2)]
    for sent in running:
        await ada.heard(sent["generation"]["id"])
    refused = await unchanged(gus, ada.send("Hi"))
    assert (refused["__typename"], refused["active"], refused["limit"]) == ("TooManyGenerations", 2, 2)
    assert [run["id"] for run in refused["generations"]] == [sent["generation"]["id"] for sent in running]
    await ada.stop(running[0]["generation"]["id"])
    await ada.followed(running[0]["generation"]["id"])
    assert (await ada.said(script(words=1)))["__typename"] == "SendMessageSuccess"


async def test_a_busy_path_is_said_before_a_limit_is(ada: FrontEnd, grace: FrontEnd) -> None:
    sent = await ada.send(HANGS)
    await ada.heard(sent["generation"]["id"])
    await limit(grace, "CONCURRENT_GENERATIONS", "INSTANT", "1")
    assert (await ada.send("Hi", **here(sent)))["__typename"] == "ConversationBusy"
    assert (await ada.send("Hi", **here(sent), onBusy="ENQUEUE"))["__typename"] == "TooManyGenerations"
    on = await ada.send(script(words=1), **here(sent), onBusy="INTERRUPT")
    assert on["userMessage"]["parent"] == {"id": sent["reply"]["id"]}
    await ada.followed(on["generation"]["id"])


NOTICED = """
mutation($input: SendMessageInput!) {
  sendMessage(input: $input) {
    ... on SendMessageSuccess { notices { code quota { id used } } quotas { id used state } }
  }
}
"""


async def noticed(front_end: FrontEnd, key: str) -> dict[str, Any]:
    given = {"text": script(words=1), "idempotencyKey": key}
    return dict((await front_end.ask(NOTICED, input=given))["sendMessage"])


async def test_past_a_soft_limit_a_send_goes_through_and_says_so_once_in_a_window(
    ada: FrontEnd, grace: FrontEnd, gus: Gus
) -> None:
    await limit(grace, "MESSAGES", "DAY", "10", soft="1")
    told = [await noticed(ada, f"{n}") for n in range(3)]
    id = (await quota(ada))["id"]
    assert [one["notices"] for one in told] == [[], [{"code": "SOFT_LIMIT", "quota": {"id": id, "used": "2"}}], []]
    assert [one["quotas"] for one in told] == [
        [{"id": id, "used": "1", "state": "OK"}],
        [{"id": id, "used": "2", "state": "SOFT_EXCEEDED"}],
        [{"id": id, "used": "3", "state": "SOFT_EXCEEDED"}],
    ]
    assert [notice["code"] for notice in (await noticed(ada, "1"))["notices"]] == ["SOFT_LIMIT"]
    await gus.database.execute("UPDATE quota_windows SET starts_at = starts_at - interval '1 day' WHERE span = 'DAY'")
    later = [len((await noticed(ada, f"{n}"))["notices"]) for n in range(3, 6)]
    assert later == [0, 1, 0]


async def test_a_window_turns_by_the_databases_clock(ada: FrontEnd, grace: FrontEnd, gus: Gus) -> None:
    await limit(grace, "MESSAGES", "HOUR", "1")
    await ada.said(script(words=1))
    assert (await ada.send("Hi"))["__typename"] == "QuotaExceeded"
    await gus.database.execute("UPDATE quota_windows SET starts_at = starts_at - interval '1 hour' WHERE span = 'HOUR'")
    assert (await ada.said(script(words=1)))["__typename"] == "SendMessageSuccess"


async def test_a_users_limit_stands_in_place_of_the_plans_and_a_keys_beside_it(
    ada: FrontEnd, bob: FrontEnd, grace: FrontEnd
) -> None:
    ada_id = await user_id(ada)
    await limit(grace, "MESSAGES", "DAY", "1")
    await limit(grace, "MESSAGES", "DAY", "2", user=ada_id)
    for _ in range(2):
        await ada.said(script(words=1))
    assert (await ada.send("Hi"))["quota"]["scope"] == "USER"
    await bob.said(script(words=1))
    assert (await bob.send("Hi"))["quota"]["scope"] == "PLAN"
    await limit(grace, "MESSAGES", "DAY", None, user=ada_id)
    await ada.said(script(words=1))
    key = (await ada.ask("{viewer {apiKeys {id}}}"))["viewer"]["apiKeys"][0]["id"]
    await limit(grace, "MESSAGES", "DAY", "3", apiKey=key)
    refused = await ada.send("Hi")
    assert (refused["quota"]["scope"], refused["quota"]["used"]) == ("API_KEY", "3")
    assert [each["scope"] for each in await quotas(ada)] == ["API_KEY"]


async def test_the_dearest_of_a_model_and_its_fallbacks_is_held(ada: FrontEnd, model_server: ModelServer) -> None:
    sent = await ada.said(
        script(words=3, fault="unavailable_503", times=1), settings={"model": "backed", "maxOutputTokens": 1000}
    )
    query = "query($id: ID!) {generation(id: $id) {reserved cost model {key} usage {inputTokens outputTokens source}}}"
    run = (await ada.ask(query, id=sent["generation"]["id"]))["generation"]
    assert (run["model"], run["usage"]["source"], run["usage"]["outputTokens"]) == ({"key": "spare"}, "PROVIDER", 3)
    assert Decimal("0.03") < Decimal(run["reserved"]) < Decimal("0.0301")
    taken = run["usage"]["inputTokens"] * Decimal("0.25") + 3 * 30
    assert Decimal(run["cost"]) == taken / 1_000_000


async def test_a_refused_send_is_admitted_under_its_key_later(ada: FrontEnd, grace: FrontEnd) -> None:
    await limit(grace, "MESSAGES", "DAY", "0")
    assert (await ada.send(script(words=1), idempotencyKey="k"))["__typename"] == "QuotaExceeded"
    await limit(grace, "MESSAGES", "DAY", "1")
    assert (await ada.send(script(words=1), idempotencyKey="k"))["replayed"] is False
    assert (await ada.send(script(words=1), idempotencyKey="k"))["replayed"] is True


async def test_edits_regenerations_and_continuations_are_admitted_alike(
    ada: FrontEnd, grace: FrontEnd, gus: Gus
) -> None:
    first = await ada.said(script(words=3, finish="length"))
    await limit(grace, "MESSAGES", "DAY", "1")
    for ask in (
        ada.edit(first["userMessage"]["id"], "Hi"),
        ada.regenerate(first["reply"]["id"]),
        ada.go_on(first["reply"]["id"]),
    ):
        assert (await unchanged(gus, ask))["__typename"] == "QuotaExceeded"
    await limit(grace, "MESSAGES", "DAY", "4")
    for ask in (
        ada.edit(first["userMessage"]["id"], script(words=1)),
        ada.regenerate(first["reply"]["id"]),
        ada.go_on(first["reply"]["id"]),
    ):
        await ada.followed((await ask)["generation"]["id"])
    assert (await quota(ada))["used"] == "4"


async def test_a_preview_foresees_what_a_send_would_meet_and_counts_nothing(
    ada: FrontEnd, grace: FrontEnd, gus: Gus
) -> None:
    preview = """
    query($input: PreviewSendInput!) {
      previewSend(input: $input) { refusal { code } notices { code } quotas { used reserved } }
    }
    """
    await limit(grace, "MESSAGES", "DAY", "1", soft="0")
    seen = (await unchanged(gus, ada.ask(preview, input={"text": "Hi"})))["previewSend"]
    assert (seen["refusal"], seen["notices"]) == (None, [{"code": "SOFT_LIMIT"}])
    assert seen["quotas"] == [{"used": "0", "reserved": "0"}]
    await ada.said(script(words=1))
    seen = (await unchanged(gus, ada.ask(preview, input={"text": "Hi"})))["previewSend"]
    assert (seen["refusal"], seen["quotas"]) == ({"code": "QUOTA_EXCEEDED"}, [{"used": "1", "reserved": "0"}])


async def test_a_quota_is_a_node_of_its_viewers(ada: FrontEnd, bob: FrontEnd, grace: FrontEnd) -> None:
    await limit(grace, "MESSAGES", "DAY", "5")
    await ada.said(script(words=1))
    mine, query = await quota(ada), "query($id: ID!) {node(id: $id) {... on Quota {used hardLimit}}}"
    assert (await ada.ask(query, id=mine["id"]))["node"] == {"used": "1", "hardLimit": "5"}
    assert (await bob.ask(query, id=mine["id"]))["node"] is None


async def test_admission_takes_one_round_trip(ada: FrontEnd, grace: FrontEnd) -> None:
    await limit(grace, "MESSAGES", "DAY", "5")
    await limit(grace, "COST", "MONTH", "5")
    _, statements = await ada.counted(
        "mutation($input: SendMessageInput!) {sendMessage(input: $input) {__typename}}",
        input={"text": script(words=1, first_delay_ms=200), "idempotencyKey": "k"},
    )
    assert sum("quota_windows" in statement for statement in statements) == 1
    assert outlined(statements).count("COMMIT") == 1


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"metric": "MESSAGES", "window": "INSTANT"}, ("CONFLICTING_FIELDS", ["input", "window"])),
        ({"hardLimit": "-1"}, ("OUT_OF_RANGE", ["input", "hardLimit"])),
        ({"hardLimit": "1.5"}, ("OUT_OF_RANGE", ["input", "hardLimit"])),
        ({"softLimit": "6"}, ("OUT_OF_RANGE", ["input", "softLimit"])),
        ({"user": "VXNlcjox"}, ("CONFLICTING_FIELDS", ["input", "user"])),
    ],
)
async def test_a_limit_that_cannot_be_is_refused(
    grace: FrontEnd, gus: Gus, wrong: dict[str, str], problem: tuple[str, list[str]]
) -> None:
    given = {"metric": "MESSAGES", "window": "DAY", "hardLimit": "5", "plan": "unlimited", **wrong}
    refused = await unchanged(gus, limit_as(grace, given))
    assert [(found["rule"], found["path"]) for found in refused["problems"]] == [problem]


async def limit_as(admin: FrontEnd, given: dict[str, str]) -> dict[str, Any]:
    return dict((await admin.ask(SET_QUOTA, input=given))["setQuota"])


async def test_nobody_but_an_admin_sets_limits_and_only_for_who_is_there(
    ada: FrontEnd, grace: FrontEnd, gus: Gus
) -> None:
    assert (await unchanged(gus, limit(ada, "MESSAGES", "DAY", "5")))["code"] == "NOT_ALLOWED"
    for whom, name in (("plan", "plan"), ("user", "user"), ("apiKey", "apiKey")):
        refused = await unchanged(gus, limit(grace, "MESSAGES", "DAY", "5", **{whom: "nobody"}))
        assert (refused["code"], refused["path"]) == ("NOT_FOUND", ["input", name])


async def test_a_limit_holds_in_every_process_at_once(
    ada: FrontEnd,
    grace: FrontEnd,
    database_url: str,
    settings: Settings,
    catalogue: Catalogue,
    built: strawberry.Schema,
) -> None:
    async with process(database_url, settings, catalogue) as gus:
        there = ada.at(served(gus, built))
        await there.said(script(words=1))
        await limit(grace, "MESSAGES", "DAY", "1")
        # What was sent before there was a limit counts, too.
        assert (await there.send("Hi"))["quota"]["used"] == "1"


@pytest.mark.parametrize(
    ("hard", "status", "error"), [("1000000", "COMPLETED", None), ("1", "FAILED", "QUOTA_EXCEEDED")]
)
async def test_what_waited_is_held_to_the_limits_again_for_what_its_context_has_grown(
    ada: FrontEnd, grace: FrontEnd, gus: Gus, hard: str, status: str, error: str | None
) -> None:
    reserved = "query($id: ID!) {generation(id: $id) {reserved status error {code retryable}}}"
    first = await ada.send(script(words=200, first_delay_ms=500))
    waiting = await ada.send(script(words=1), **here(first), onBusy="ENQUEUE")
    before = (await ada.ask(reserved, id=waiting["generation"]["id"]))["generation"]
    await limit(grace, "TOKENS", "DAY", hard)
    await ada.followed(waiting["generation"]["id"])
    after = (await ada.ask(reserved, id=waiting["generation"]["id"]))["generation"]
    assert (after["status"], after["error"]) == (status, {"code": error, "retryable": True} if error else None)
    assert (Decimal(after["reserved"]) > Decimal(before["reserved"])) is (error is None)
    await assert_settled(gus.database)


async def test_counters_go_when_their_windows_are_long_over(ada: FrontEnd, gus: Gus) -> None:
    await ada.said(script(words=1))
    await gus.database.execute(
        "UPDATE quota_windows SET starts_at = starts_at - interval '2 days' WHERE span <> 'INSTANT'"
    )
    await gus.upkeep.once()
    left = await gus.database.fetch("SELECT DISTINCT span FROM quota_windows ORDER BY span")
    assert [row["span"] for row in left] == ["DAY", "HOUR", "INSTANT", "MONTH"]
