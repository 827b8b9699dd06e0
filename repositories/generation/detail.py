"""What rows of generations and of their events hold as JSON, to and from the domain's words."""

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.generation.entity import (
    AttemptOutcome,
    Ending,
    GenerationSettings,
    Notice,
    NoticeCode,
    ProviderAttempt,
)
from domain.generation.log import NewStart, TruncationReason
from domain.model import ModelKey, TokenCount
from domain.quota.claim import Price
from domain.response_format import ResponseFormat, ResponseFormatType

_SETTINGS = tuple(field.name for field in fields(GenerationSettings))


def started_json(attempt: int, model_key: ModelKey) -> str:
    return json.dumps({"attempt": attempt, "model_key": model_key})


def truncated_json(reason: TruncationReason) -> str:
    return json.dumps({"reason": reason.value})


def notice_json(notice: Notice) -> str:
    return json.dumps(_notice(notice))


def finished_json(ending: Ending) -> str:
    return json.dumps({"status": ending.status.value, "finish_reason": ending.finish_reason.value})


def settings_json(settings: GenerationSettings) -> str:
    said = {name: value for name in _SETTINGS if (value := getattr(settings, name)) is not None}
    if settings.response_format is not None:
        said["response_format"] = _format(settings.response_format)
    return json.dumps(said)


def turned_to_json(start: NewStart) -> str:
    """What goes over the settings that the run began with."""
    return settings_json(GenerationSettings(model=start.model_key, max_output_tokens=start.output_tokens))


def notices_json(notices: Sequence[Notice]) -> str | None:
    return json.dumps([_notice(notice) for notice in notices]) if notices else None


def attempts_json(attempts: Sequence[ProviderAttempt]) -> str | None:
    return json.dumps([_attempt(attempt) for attempt in attempts]) if attempts else None


def tokens_json(count: TokenCount | None) -> str | None:
    return json.dumps({count.tokenizer: count.tokens}) if count else None


def prices_json(prices: Sequence[Price]) -> str | None:
    """Decimals as the text that they are."""
    stored = [[price.model_key, str(price.input_per_million), str(price.output_per_million)] for price in prices]
    return json.dumps(stored) if prices else None


def to_prices(text: str | None) -> tuple[Price, ...]:
    stored = json.loads(text) if text else []
    return tuple(Price(ModelKey(key), Decimal(input), Decimal(output)) for key, input, output in stored)


def to_settings(text: str) -> GenerationSettings:
    stored = json.loads(text)
    stop, form = stored.pop("stop", None), stored.pop("response_format", None)
    return GenerationSettings(
        **stored,
        stop=None if stop is None else tuple(stop),
        response_format=None if form is None else ResponseFormat(ResponseFormatType(form["type"]), form["schema"]),
    )


def to_notice(stored: dict[str, Any]) -> Notice:
    return Notice(NoticeCode(stored["code"]), stored["message"], stored.get("quota"))


def to_notices(text: str | None) -> tuple[Notice, ...]:
    return tuple(map(to_notice, json.loads(text))) if text else ()


def to_attempts(text: str | None) -> tuple[ProviderAttempt, ...]:
    return tuple(map(_to_attempt, json.loads(text))) if text else ()


def _format(form: ResponseFormat) -> dict[str, str | None]:
    return {"type": form.type.value, "schema": form.schema}


def _notice(notice: Notice) -> dict[str, str]:
    about = {} if notice.quota_id is None else {"quota": notice.quota_id}
    return {"code": notice.code.value, "message": notice.message, **about}


def _attempt(attempt: ProviderAttempt) -> dict[str, object]:
    return {
        "provider": attempt.provider,
        "model": attempt.model,
        "started_at": attempt.started_at.isoformat(),
        "ended_at": attempt.ended_at.isoformat(),
        "outcome": attempt.outcome.value,
        "provider_status": attempt.provider_status,
    }


def _to_attempt(stored: dict[str, Any]) -> ProviderAttempt:
    return ProviderAttempt(
        stored["provider"],
        stored["model"],
        datetime.fromisoformat(stored["started_at"]),
        datetime.fromisoformat(stored["ended_at"]),
        AttemptOutcome(stored["outcome"]),
        stored["provider_status"],
    )
