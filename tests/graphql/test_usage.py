"""What users took: reports, running totals and the ledger agree, and the ledger stays whole."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from server.compose import Gus
from tests.graphql.documents import DELETE
from tests.graphql.front_end import FrontEnd, here, outlined, script
from tests.graphql.limits import limit
from tests.model_server import ModelServer

TOTALS = "requests inputTokens outputTokens cost errors"
REPORT = f"""
  total {{ {TOTALS} }} truncated
  buckets {{
    start end model {{ key }} conversation {{ id }} conversationId purpose user {{ displayName }}
    p50LatencyMs p95LatencyMs totals {{ {TOTALS} }}
  }}
"""
_ASKED = f"usage(range: $range, groupBy: $by) {{ {REPORT} }}"
USAGE = f"query($range: DateRange!, $by: [UsageDimension!]! = []) {{ viewer {{ {_ASKED} }} }}"
ALL_USAGE = USAGE.replace("viewer", "admin")
VERIFY = """
query($range: DateRange!) {
  admin {
    verifyLedger(range: $range) { balanced checkedEntries truncated mismatches { account expected actual generation } }
  }
}
"""
NOTHING = {"requests": 0, "inputTokens": 0, "outputTokens": 0, "cost": "0", "errors": 0}


def days(count: int) -> dict[str, str]:
    """The last so many, and a little of what is to come."""
    end = datetime.now(UTC) + timedelta(minutes=5)
    return {"from": (end - timedelta(days=count)).isoformat(), "to": end.isoformat()}


async def usage(front_end: FrontEnd, *by: str, count: int = 7) -> dict[str, Any]:
    return dict((await front_end.ask(USAGE, range=days(count), by=list(by)))["viewer"]["usage"])


async def verified(admin: FrontEnd) -> dict[str, Any]:
    return dict((await admin.ask(VERIFY, range=days(31)))["admin"]["verifyLedger"])


def added(*totals: dict[str, Any]) -> dict[str, Any]:
    sums = {name: sum(each[name] for each in totals) for name in NOTHING if name != "cost"}
    return {**sums, "cost": f"{sum((Decimal(each['cost']) for each in totals), Decimal(0)).normalize():f}"}


async def test_reports_conversations_and_messages_sum_up_to_the_same(ada: FrontEnd, bob: FrontEnd) -> None:
    first = await ada.said(script(words=3))
    await ada.said(script(words=5, after=2, fault="cut"), **here(first))
    await ada.said(script(words=7), settings={"model": "spare"})
    await bob.said(script(words=9))
    whole = await usage(ada)
    assert (whole["total"]["requests"], whole["total"]["outputTokens"], whole["total"]["errors"]) == (3, 12, 1)
    assert [bucket["totals"] for bucket in whole["buckets"]] == [whole["total"]]
    for by in (["DAY"], ["MODEL"], ["CONVERSATION"], ["PURPOSE"], ["MONTH", "MODEL", "CONVERSATION"]):
        report = await usage(ada, *by)
        assert report["total"] == whole["total"]
        assert added(*(bucket["totals"] for bucket in report["buckets"])) == whole["total"]
    nodes = f"nodes {{ id usage {{ {TOTALS} }} messages {{ nodes {{ usage {{ {TOTALS} }} }} }} }}"
    query = f"query {{ viewer {{ conversations {{ {nodes} }} }} }}"
    conversations = (await ada.ask(query))["viewer"]["conversations"]["nodes"]
    by_conversation = {
        bucket["conversationId"]: bucket["totals"] for bucket in (await usage(ada, "CONVERSATION"))["buckets"]
    }
    assert {each["id"]: each["usage"] for each in conversations} == by_conversation
    for each in conversations:
        of_replies = [message["usage"] for message in each["messages"]["nodes"] if message["usage"]]
        assert added(*of_replies) == each["usage"]


async def test_buckets_are_told_apart(ada: FrontEnd) -> None:
    first = await ada.said(script(words=3))
    await ada.said(script(words=7), settings={"model": "spare"})
    [dear, cheap] = (await usage(ada, "DAY", "MODEL"))["buckets"]
    assert (dear["model"], cheap["model"]) == ({"key": "spare"}, {"key": "scripted"})
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    assert dear["start"] == today.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert dear["end"] > dear["start"]
    assert (dear["purpose"], dear["conversation"], dear["user"]) == (None, None, None)
    assert 0 <= dear["p50LatencyMs"] <= dear["p95LatencyMs"]
    by_conversation = (await usage(ada, "CONVERSATION", "PURPOSE"))["buckets"]
    assert by_conversation[1]["conversation"] == {"id": first["conversation"]["id"]}
    assert {bucket["purpose"] for bucket in by_conversation} == {"REPLY"}


async def test_what_was_taken_outlives_its_conversation(ada: FrontEnd, grace: FrontEnd, gus: Gus) -> None:
    sent = await ada.said(script(words=3))
    before = (await usage(ada))["total"]
    await ada.ask(DELETE, **here(sent))
    await gus.upkeep.once()
    assert (await usage(ada))["total"] == before
    [bucket] = (await usage(ada, "CONVERSATION"))["buckets"]
    assert (bucket["conversation"], bucket["conversationId"]) == (None, sent["conversation"]["id"])
    assert (await verified(grace))["balanced"] is True


async def test_what_was_taken_outlives_its_user_and_does_not_say_who_it_was(
    ada: FrontEnd, grace: FrontEnd, gus: Gus
) -> None:
    sent = await ada.said(script(words=3))
    report = "total { outputTokens } buckets { user { displayName } totals { outputTokens } }"
    query = f"query($range: DateRange!) {{ admin {{ usage(range: $range, groupBy: [USER]) {{ {report} }} }} }}"
    before = (await grace.ask(query, range=days(1)))["admin"]["usage"]
    assert before["buckets"] == [{"user": {"displayName": "Ada"}, "totals": before["total"]}]
    await ada.ask(DELETE, **here(sent))
    await gus.upkeep.once()
    for table, owner in (("idempotency_keys", "owner_id"), ("api_keys", "user_id"), ("users", "id")):
        await gus.database.execute(
            f"DELETE FROM {table} USING users u WHERE {table}.{owner} = u.id AND u.display_name = 'Ada'"
        )
    after = (await grace.ask(query, range=days(1)))["admin"]["usage"]
    assert after == {"total": before["total"], "buckets": [{"user": None, "totals": before["total"]}]}
    assert (await verified(grace))["balanced"] is True


async def test_an_admin_sees_what_everybody_took_and_nobodys_conversations(
    ada: FrontEnd, bob: FrontEnd, grace: FrontEnd
) -> None:
    await ada.said(script(words=3))
    await bob.said(script(words=5))
    asked = {"range": days(7), "by": ["USER", "CONVERSATION"]}
    report = (await grace.ask(ALL_USAGE, **asked))["admin"]["usage"]
    assert {(bucket["user"]["displayName"], bucket["totals"]["outputTokens"]) for bucket in report["buckets"]} == {
        ("Ada", 3),
        ("Bob", 5),
    }
    assert {bucket["conversation"] for bucket in report["buckets"]} == {None}
    assert (await ada.ask(ALL_USAGE, **asked))["admin"] is None


@pytest.mark.parametrize(
    ("by", "count"),
    [
        (["HOUR"], 32),
        ([], 401),
        (["HOUR", "DAY"], 1),
        (["USER"], 1),
        (["MODEL", "PURPOSE", "CONVERSATION"], 1),
        ([], 0),
    ],
)
async def test_a_report_that_cannot_be_made_is_refused(ada: FrontEnd, by: list[str], count: int) -> None:
    assert await ada.refused(USAGE, range=days(count), by=by) == ["BAD_VARIABLES"]


async def test_a_report_takes_two_statements(ada: FrontEnd) -> None:
    await ada.said(script(words=1))
    _, statements = await ada.counted(USAGE, range=days(1), by=["DAY"])
    assert outlined(statements) == ["ledger_entries", "ledger_entries"]


async def test_every_entry_is_checked_and_what_differs_is_named(ada: FrontEnd, grace: FrontEnd, gus: Gus) -> None:
    sent = await ada.said(script(words=3))
    await ada.said(script(words=3), settings={"model": "spare"})
    assert await verified(grace) == {"balanced": True, "checkedEntries": 4, "truncated": False, "mismatches": []}
    await gus.database.fetch("ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_stay")
    planted = "UPDATE ledger_entries SET amount_nano = amount_nano + 7 WHERE model_key = 'scripted' AND amount_nano > 0"
    assert await gus.database.execute(planted) == 1
    found = await verified(grace)
    assert found["balanced"] is False
    unbalanced = next(each for each in found["mismatches"] if each["account"] == "transaction")
    assert (unbalanced["expected"], unbalanced["actual"]) == ("0", "0.000000007")
    assert unbalanced["generation"] == sent["generation"]["id"]
    differs = {each["account"].split(":")[0] for each in found["mismatches"]}
    assert differs == {"transaction", "user", "conversation", "cost used"}


@pytest.mark.parametrize(
    ("planted", "account"),
    [
        ("UPDATE generations SET cost_nano = cost_nano + 1", "user"),
        ("UPDATE conversations SET used_cost_nano = 0", "conversation"),
        ("UPDATE quota_windows SET cost_used_nano = 0 WHERE span = 'DAY'", "cost used"),
        ("UPDATE quota_windows SET tokens_used = 0 WHERE span = 'INSTANT'", "tokens used"),
        ("UPDATE quota_windows SET cost_reserved_nano = 1 WHERE span = 'MONTH'", "cost reserved"),
        ("UPDATE quota_windows SET running = 1 WHERE span = 'INSTANT'", "running"),
    ],
)
async def test_whatever_record_is_wrong_is_found(
    ada: FrontEnd, grace: FrontEnd, gus: Gus, planted: str, account: str
) -> None:
    await ada.said(script(words=3))
    assert await gus.database.execute(planted) > 0
    assert {each["account"].split(":")[0] for each in (await verified(grace))["mismatches"]} == {account}


@pytest.mark.parametrize("rewriting", ["UPDATE ledger_entries SET amount_nano = 0", "DELETE FROM ledger_entries"])
async def test_the_ledger_is_only_added_to(ada: FrontEnd, gus: Gus, rewriting: str) -> None:
    await ada.said(script(words=1))
    with pytest.raises(Exception, match="the ledger is only ever added to"):
        await gus.database.execute(rewriting)


async def test_only_admins_check_and_not_too_much_at_once(ada: FrontEnd, grace: FrontEnd) -> None:
    assert (await ada.ask(VERIFY, range=days(1)))["admin"] is None
    assert await grace.refused(VERIFY, range=days(32)) == ["BAD_VARIABLES"]


async def test_bars_move_with_what_is_sent_and_what_ends(
    ada: FrontEnd, bob: FrontEnd, grace: FrontEnd, model_server: ModelServer
) -> None:
    await limit(grace, "MESSAGES", "DAY", "10")
    events = "subscription {viewerEvents {__typename ... on QuotaMoved {quota {id used}}}}"
    async with ada.watching(events) as heard:
        assert (await anext(heard))["__typename"] == "ViewerSnapshot"
        await bob.said(script(words=1))
        await ada.said(script(words=1))
        while (event := await anext(heard))["__typename"] != "QuotaMoved":
            continue
    assert event["quota"]["used"] == "1"
