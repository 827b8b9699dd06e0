"""Scalars: times in UTC with milliseconds, money and prices as decimal strings, counts that outgrow Int."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import NewType

import strawberry
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition, ScalarWrapper

LONGEST_DECIMAL = 40
DEEPEST_JSON = 100
LARGEST_LONG = 2**53 - 1

Long = NewType("Long", int)


def _time_out(value: datetime) -> str:
    # Not strftime, whose %Y writes the year 99 in two digits.
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _time_in(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError('A DateTime is a string: "2026-01-31T12:00:00.000Z".')
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo is None:
        raise ValueError("A DateTime names its offset: end it with Z.")
    return parsed.astimezone(UTC)


def _decimal_out(value: Decimal) -> str:
    # Without the sign of a negative zero.
    text = f"{value or abs(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimal_in(value: object) -> Decimal:
    try:
        parsed = Decimal(value) if isinstance(value, str) and len(value) <= LONGEST_DECIMAL else None
    except InvalidOperation:
        parsed = None
    if parsed is None or not parsed.is_finite():
        raise ValueError('A Decimal is a number in a string, without exponent: "0.00042".')
    return parsed


def _json_in(value: object) -> object:
    level = [value]
    for _ in range(DEEPEST_JSON + 1):
        if any(isinstance(each, float) and not isfinite(each) for each in level):
            raise ValueError("JSON has no number that is so large.")
        level = [child for each in level for child in _children(each)]
    if level:
        raise ValueError(f"At most {DEEPEST_JSON} deep.")
    return value


def _children(value: object) -> Iterable[object]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()


def _long_in(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST_LONG:
        raise ValueError("A Long is a whole number below 2^53.")
    return value


DateTime = strawberry.scalar(
    name="DateTime",
    description="RFC 3339, UTC, exactly three fractional digits.",
    specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
    serialize=_time_out,
    parse_value=_time_in,
)
DecimalNumber = strawberry.scalar(
    name="Decimal",
    description='A decimal number as a string, without exponent: "0.00042".',
    serialize=_decimal_out,
    parse_value=_decimal_in,
)

JsonValue = strawberry.scalar(
    name="JSON",
    description="Any JSON value as itself, not as a string; going in at most 100 deep.",
    specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
    serialize=lambda value: value,
    parse_value=_json_in,
)
LongNumber = strawberry.scalar(
    name="Long",
    description="A whole number that may outgrow Int; below 2^53, so a JSON number holds it exactly.",
    serialize=int,
    parse_value=_long_in,
)

OVERRIDES: dict[object, type | ScalarWrapper | ScalarDefinition] = {
    datetime: DateTime,
    Decimal: DecimalNumber,
    JSON: JsonValue,
    Long: LongNumber,
}
