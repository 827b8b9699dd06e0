"""What a model server's HTTP status and its own words say about why it did not answer."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from domain.errors import GenerationErrorCode, ModelFailure

LONGEST_DETAIL = 500
OVERLOADED = frozenset({429, 503, 529})


def failed(
    code: GenerationErrorCode, detail: object = "", *, retryable: bool = False, status: int | None = None
) -> ModelFailure:
    return ModelFailure(code, retryable=retryable, status=status, detail=str(detail)[:LONGEST_DETAIL])


def refusal(status: int, *, retry_after: float | None = None, detail: str = "") -> ModelFailure:
    return ModelFailure(
        _code_of(status),
        retryable=status in OVERLOADED or status >= 500,
        retry_after=retry_after,
        status=status,
        detail=detail[:LONGEST_DETAIL],
    )


def _code_of(status: int) -> GenerationErrorCode:
    if status in OVERLOADED:
        return GenerationErrorCode.MODEL_OVERLOADED
    if status >= 500:
        return GenerationErrorCode.MODEL_UNREACHABLE
    if status >= 400:
        return GenerationErrorCode.MODEL_REFUSED
    return GenerationErrorCode.MODEL_ANSWERED_NONSENSE


def error_event(error: object, *, begun: bool) -> ModelFailure:
    """An `error` in place of a delta: llama.cpp, vLLM and OpenRouter put an HTTP status into its `code`."""
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code <= 599 else None
    if status is None or begun:
        return failed(GenerationErrorCode.MODEL_BROKE_OFF, error, retryable=True, status=status)
    return refusal(status, detail=str(error))


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds, from either form of RFC 9110, section 10.2.3; None when it is absent or means nothing."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        return _seconds_until(header, now)
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _seconds_until(date: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((aware - now).total_seconds(), 0.0)
