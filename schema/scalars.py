"""Scalars: times in UTC with milliseconds, money and prices as decimal strings, counts that outgrow Int."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import strawberry
from strawberry.types.scalar import ScalarDefinition, ScalarWrapper

LONGEST_DECIMAL = 40


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
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimal_in(value: object) -> Decimal:
    try:
        parsed = Decimal(value) if isinstance(value, str) and len(value) <= LONGEST_DECIMAL else None
    except InvalidOperation:
        parsed = None
    if parsed is None or not parsed.is_finite():
        raise ValueError('A Decimal is a number in a string, without exponent: "0.00042".')
    return parsed


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

OVERRIDES: dict[object, type | ScalarWrapper | ScalarDefinition] = {datetime: DateTime, Decimal: DecimalNumber}
