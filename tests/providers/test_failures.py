from datetime import UTC, datetime

import pytest

from domain.errors import GenerationErrorCode
from providers.failures import refusal, retry_after

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Thu, 01 Jan 2026 12:01:30 GMT", 90.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (307, GenerationErrorCode.MODEL_ANSWERED_NONSENSE, False),
        (400, GenerationErrorCode.MODEL_REFUSED, False),
        (401, GenerationErrorCode.MODEL_REFUSED, False),
        (404, GenerationErrorCode.MODEL_REFUSED, False),
        (429, GenerationErrorCode.MODEL_OVERLOADED, True),
        (500, GenerationErrorCode.MODEL_UNREACHABLE, True),
        (502, GenerationErrorCode.MODEL_UNREACHABLE, True),
        (503, GenerationErrorCode.MODEL_OVERLOADED, True),
        (529, GenerationErrorCode.MODEL_OVERLOADED, True),
    ],
)
def test_a_status_has_one_meaning(status: int, code: GenerationErrorCode, retryable: bool) -> None:
    failure = refusal(status)
    assert (failure.code, failure.retryable, failure.status) == (code, retryable, status)


def test_the_servers_words_are_cut_and_never_the_message() -> None:
    failure = refusal(500, detail="x" * 10_000)
    assert (failure.detail, failure.message) == ("x" * 500, "MODEL_UNREACHABLE")
