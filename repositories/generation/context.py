"""What a run's model was given, as its row holds it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from domain.errors import GenerationErrorCode
from domain.generation.entity import NoticeCode
from domain.instruction import InstructionRef, InstructionScope
from domain.model import UsageSource
from domain.window.policy import ContextStrategy
from domain.window.report import ContextReport
from domain.world import MessageId, SummaryId

_LATER = ("provider_input_tokens", "provider_truncated")


def context_json(report: ContextReport | None) -> str | None:
    if report is None:
        return None
    stored = {name: value for name, value in asdict(report).items() if name not in _LATER and value is not None}
    return json.dumps(stored, default=_plain)


def to_context(row: Mapping[str, Any]) -> ContextReport | None:
    """With what the run's end has added."""
    if row["context"] is None:
        return None
    stored = json.loads(row["context"])
    report = ContextReport(
        **{
            **stored,
            "strategy": ContextStrategy(stored["strategy"]),
            "instructions": tuple(map(_to_ref, stored["instructions"])),
            "leaf": MessageId(UUID(stored["leaf"])),
            "summary_id": SummaryId(UUID(stored["summary_id"])) if "summary_id" in stored else None,
        }
    )
    notices = row["notices"] or ""
    # What was asked for twice is counted for both prompts, of which the report tells the first.
    twice = NoticeCode.OUTPUT_REPAIRED.value in notices or row["error_code"] == GenerationErrorCode.INVALID_JSON.value
    counted = row["input_tokens"] if row["usage_source"] == UsageSource.PROVIDER.value and not twice else None
    cut = NoticeCode.PROVIDER_TRUNCATED.value in notices
    return replace(report, provider_input_tokens=counted, provider_truncated=cut)


def _to_ref(stored: dict[str, Any]) -> InstructionRef:
    return InstructionRef(**{**stored, "scope": InstructionScope(stored["scope"])})


def _plain(value: object) -> str:
    return str(value.value) if isinstance(value, ContextStrategy | InstructionScope) else str(value)
