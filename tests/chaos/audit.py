"""The audit after a fault: what was promised against what another process tells and what the database holds."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from resolvers.node import uuid_of
from tests.chaos.front_end import FrontEnd, Log, NoAnswer
from tests.chaos.ledger import (
    BILLS,
    DUPLICATE,
    ENDS,
    GAP,
    LOST,
    OTHER,
    STUCK,
    UNSTORED,
    Promise,
    Violation,
    log_violations,
    text_of,
    words_violation,
)
from tests.chaos.stage import Process, Stage
from tests.e2e.client import PATH

UNFINISHED = "SELECT id, status, node, attempt, lease_until, last_seq FROM generations WHERE ended_at IS NULL"

STORED = """
SELECT g.id, g.status, g.ended_at, g.last_seq, g.lease_until, reply.text AS reply, asked.text AS question,
  e.count, e.first, e.last, e.ends, e.last_end,
  (SELECT count(*) FROM messages m JOIN conversations c ON c.id = m.conversation_id
   WHERE m.idempotency_key = asked.idempotency_key AND c.owner_id = g.owner_id) AS times_sent
FROM generations g
JOIN messages reply ON reply.id = g.reply_id
JOIN messages asked ON asked.id = reply.parent_id
CROSS JOIN LATERAL (
  SELECT count(*), min(seq) AS first, max(seq) AS last, count(*) FILTER (WHERE kind = 5) AS ends,
    max(seq) FILTER (WHERE kind = 5) AS last_end
  FROM generation_events WHERE generation_id = g.id
) e
WHERE g.id = ANY($1)
"""

HELD = """
SELECT subject_id, span, starts_at, running, tokens_reserved, cost_reserved_nano FROM quota_windows
WHERE running <> 0 OR tokens_reserved <> 0 OR cost_reserved_nano <> 0
"""

UNSETTLED = """
SELECT g.id, g.cost_nano, e.* FROM generations g CROSS JOIN LATERAL (
  SELECT count(*) AS entries, sum(amount_nano) AS balance,
    sum(amount_nano) FILTER (WHERE account = 'user:' || g.owner_id) AS billed
  FROM ledger_entries WHERE transaction_id = g.id
) e
WHERE g.ended_at IS NOT NULL AND (e.entries <> 2 OR e.balance <> 0 OR e.billed <> coalesce(g.cost_nano, 0))
"""


@dataclass(frozen=True, slots=True)
class Audited:
    """`statuses`: how each run ended. `seconds`: until the last one had."""

    violations: list[Violation]
    statuses: dict[str, str]
    seconds: float


async def audit(
    stage: Stage, front_end: FrontEnd, promises: Sequence[Promise], *, via: Process, seconds: float
) -> Audited:
    """Waits at most `seconds` for all runs that there are, also those that nobody was told of."""
    began = time.monotonic()
    violations = await _stuck(stage, began + seconds)
    took = time.monotonic() - began
    logs = [await _log(front_end, promise, via) for promise in promises]
    for promise, log in zip(promises, logs, strict=True):
        if log is not None:
            violations += _told_violations(promise, log)
        else:
            violations.append(Violation(LOST, "a run", f"none at {via.name}", promise.generation))
    violations += await _question_violations(front_end, promises, via)
    violations += await _stored_violations(stage, promises)
    violations += await _bill_violations(stage)
    statuses = {each.generation: log.status for each, log in zip(promises, logs, strict=True) if log is not None}
    return Audited(violations, statuses, took)


async def _bill_violations(stage: Stage) -> list[Violation]:
    """All runs have ended: nothing is held for any, and each was settled once."""
    held = [Violation(BILLS, "nothing held", str(dict(row))) for row in await stage.sql(HELD)]
    return held + [
        Violation(BILLS, "settled once", str(dict(row)), str(row["id"])) for row in await stage.sql(UNSETTLED)
    ]


async def _stuck(stage: Stage, deadline: float) -> list[Violation]:
    while rows := await stage.sql(UNFINISHED):
        if time.monotonic() > deadline:
            return [Violation(STUCK, "an end", str(dict(row)), str(row["id"])) for row in rows]
        await asyncio.sleep(0.1)
    return []


async def _log(front_end: FrontEnd, promise: Promise, via: Process) -> Log | None:
    for _ in range(3):
        try:
            return await front_end.log(via.origin, promise.key, promise.generation)
        except NoAnswer:
            await asyncio.sleep(0.5)
    return await front_end.log(via.origin, promise.key, promise.generation)


def _told_violations(promise: Promise, log: Log) -> list[Violation]:
    violations = log_violations(log.events, promise.generation, promise.kept)
    told = {event.seq: event for event in log.events}
    for seq, event in promise.shown.items():
        if told.get(seq) != event:
            violations.append(Violation(UNSTORED, f"{event}", f"{told.get(seq)}", promise.generation))
            break
    text = text_of(log.events, promise.kept)
    if not (log.reply_text.startswith(text) if promise.goes_on else log.reply_text == text):
        expected, found = f"the log's {len(text)} characters", f"a reply of {len(log.reply_text)}"
        violations.append(Violation(UNSTORED, expected, found, promise.generation))
    if violation := words_violation(promise, text.removeprefix(promise.kept), log.status):
        violations.append(violation)
    return violations


async def _question_violations(front_end: FrontEnd, promises: Sequence[Promise], via: Process) -> list[Violation]:
    """Of each conversation once: it shows what was said in it."""
    violations = []
    for promise in {each.sent.conversation: each for each in promises}.values():
        told = await front_end.ask(via.origin, promise.key, PATH, {"id": promise.sent.conversation})
        nodes = told["conversation"]["path"]["nodes"] if told["conversation"] else []
        if [node["text"] for node in nodes[:1]] != [promise.question]:
            violations.append(Violation(LOST, "the question", f"{str(nodes)[:200]}", promise.generation))
    return violations


async def _stored_violations(stage: Stage, promises: Sequence[Promise]) -> list[Violation]:
    ids = {_uuid(promise): promise for promise in promises}
    rows = {row["id"]: row for row in await stage.sql(STORED, list(ids))}
    return [violation for id, promise in ids.items() for violation in _row_violations(promise, rows.get(id))]


def _row_violations(promise: Promise, row: Record | None) -> list[Violation]:
    if row is None:
        return [Violation(LOST, "a row", "none", promise.generation)]
    evidence = str({**dict(row), "reply": len(row["reply"]), "question": len(row["question"])})
    wrong = {
        LOST: row["question"] != promise.question,
        DUPLICATE: row["times_sent"] != 1,
        GAP: (row["first"], row["last"], row["count"]) != (1, row["last_seq"], row["last_seq"]),
        ENDS: row["ended_at"] is not None and (row["ends"], row["last_end"]) != (1, row["last_seq"]),
        OTHER: row["ended_at"] is not None and row["lease_until"] is not None,
    }
    return [Violation(what, "a sound row", evidence, promise.generation) for what, is_so in wrong.items() if is_so]


def _uuid(promise: Promise) -> UUID:
    found = uuid_of("Generation", promise.generation)
    assert found is not None, promise.generation
    return found
