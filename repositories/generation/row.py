"""Rows of generations and generation_events, to and from the domain's words."""

import json
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, assert_never
from uuid import UUID

from domain.errors import GenerationErrorCode
from domain.generation.entity import FinishReason, Generation, GenerationError, GenerationStatus, GenerationTrigger
from domain.generation.log import (
    Claimed,
    GenerationFinished,
    GenerationQueued,
    GenerationStarted,
    LogEntry,
    NoticeRaised,
    ReasoningDelta,
    StopRequest,
    TextDelta,
    TextTruncated,
    TruncationReason,
)
from domain.model import ModelKey, Usage, UsageSource
from domain.world import ApiKeyId, ConversationId, GenerationId, MessageId, UserId
from repositories.generation.context import to_context
from repositories.generation.detail import to_attempts, to_notice, to_notices, to_prices, to_settings
from repositories.money import usd


class Kind(IntEnum):
    """generation_events.kind"""

    STARTED = 1
    TEXT = 2
    REASONING = 3
    TRUNCATED = 4
    FINISHED = 5
    QUEUED = 6
    NOTICE = 7


def to_stop(row: Mapping[str, Any]) -> StopRequest | None:
    if row["stop_requested_at"] is None:
        return None
    return StopRequest(row["stop_seen_seq"], FinishReason(row["stop_reason"] or FinishReason.USER_STOP))


def to_claimed(row: Mapping[str, Any]) -> Claimed:
    return Claimed(to_generation(row), to_stop(row))


def to_generation(row: Mapping[str, Any]) -> Generation:
    return Generation(
        id=GenerationId(row["id"]),
        conversation_id=ConversationId(row["conversation_id"]),
        owner_id=UserId(row["owner_id"]),
        reply_id=MessageId(row["reply_id"]),
        trigger=GenerationTrigger(row["trigger"]),
        status=GenerationStatus(row["status"]),
        model_key=ModelKey(row["model_key"]),
        requested_model_key=ModelKey(row["requested_model_key"]),
        settings=to_settings(row["settings"]),
        estimated_input_tokens=row["estimated_input_tokens"],
        queued_at=row["queued_at"],
        started_at=row["started_at"],
        first_token_at=row["first_token_at"],
        ended_at=row["ended_at"],
        finish_reason=FinishReason(row["finish_reason"]) if row["finish_reason"] else None,
        error=_error(row),
        usage=_usage(row),
        cost=None if row["cost_nano"] is None else usd(row["cost_nano"]),
        text_offset=row["text_offset"],
        last_seq=row["last_seq"],
        attempt=row["attempt"],
        queue_position=row["queue_position"],
        waits_for=None if row["waits_for"] is None else GenerationId(row["waits_for"]),
        notices=to_notices(row["notices"]),
        attempts=to_attempts(row["attempts"]),
        produced_tokens=row["produced_tokens"],
        instruction=row["instruction"],
        context=to_context(row),
        api_key_id=None if row["api_key_id"] is None else ApiKeyId(row["api_key_id"]),
        reserved=None if row["reserved_nano"] is None else usd(row["reserved_nano"]),
        reserved_tokens=row["reserved_tokens"],
        prices=to_prices(row["prices"]),
    )


def _error(row: Mapping[str, Any]) -> GenerationError | None:
    if row["error_code"] is None:
        return None
    return GenerationError(
        GenerationErrorCode(row["error_code"]), bool(row["error_retryable"]), row["error_retry_after"]
    )


def _usage(row: Mapping[str, Any]) -> Usage | None:
    if row["usage_source"] is None:
        return None
    return Usage(
        row["input_tokens"],
        row["output_tokens"],
        UsageSource(row["usage_source"]),
        row["cached_input_tokens"],
        row["reasoning_tokens"],
    )


def to_entry(generation_id: UUID, row: Mapping[str, Any]) -> LogEntry:
    seq, at, run = row["seq"], row["at"], GenerationId(generation_id)
    match Kind(row["kind"]):
        case Kind.TEXT:
            return TextDelta(seq, at, run, row["text"], row["position"])
        case Kind.REASONING:
            return ReasoningDelta(seq, at, run, row["text"], row["position"])
        case Kind.TRUNCATED:
            return TextTruncated(seq, at, run, row["position"], TruncationReason(json.loads(row["detail"])["reason"]))
        case Kind.STARTED:
            started = json.loads(row["detail"])
            return GenerationStarted(seq, at, run, started["attempt"], ModelKey(started["model_key"]))
        case Kind.QUEUED:
            return GenerationQueued(seq, at, run, row["position"])
        case Kind.NOTICE:
            return NoticeRaised(seq, at, run, to_notice(json.loads(row["detail"])))
        case Kind.FINISHED:
            end = json.loads(row["detail"])
            return GenerationFinished(seq, at, run, GenerationStatus(end["status"]), FinishReason(end["finish_reason"]))
        case kind:
            assert_never(kind)
