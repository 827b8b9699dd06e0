"""Rows of counters and overrides, to the domain's words."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain.quota.counter import Counted, Counter, Override
from domain.quota.limit import PlanLimit, QuotaMetric, QuotaScope, QuotaWindow
from repositories.money import usd


def to_counted(row: Mapping[str, Any]) -> Counted:
    # Decimals are read from the text that they are in JSON: no float comes near them.
    counters = json.loads(row["counters"] or "[]")
    overrides = json.loads(row["overrides"] or "[]", parse_float=Decimal)
    return Counted(row["at"], tuple(map(_to_counter, counters)), tuple(map(_to_override, overrides)))


def _to_counter(stored: dict[str, Any]) -> Counter:
    return Counter(
        UUID(stored["subject_id"]),
        QuotaWindow(stored["span"]),
        datetime.fromisoformat(stored["starts_at"]),
        messages=stored["messages"],
        tokens_used=stored["tokens_used"],
        tokens_reserved=stored["tokens_reserved"],
        cost_used=usd(stored["cost_used_nano"]),
        cost_reserved=usd(stored["cost_reserved_nano"]),
        running=stored["running"],
        told=frozenset(stored["told"] or ()),
    )


def _to_override(stored: dict[str, Any]) -> Override:
    soft, hard = (None if stored[name] is None else Decimal(stored[name]) for name in ("soft", "hard"))
    limit = PlanLimit(QuotaMetric(stored["metric"]), QuotaWindow(stored["span"]), soft, hard)
    return Override(QuotaScope(stored["scope"]), stored["subject"], limit)
