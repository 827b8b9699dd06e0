"""Scalars: times in UTC with milliseconds, decimal strings, counts that outgrow Int; each names the document that it keeps to."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import NewType

import strawberry
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition, ScalarWrapper

LONGEST_DECIMAL = 40
# XML Schema's: neither an exponent nor what else Python's Decimal takes, as "1_000".
DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
DEEPEST_JSON = 100
LARGEST_LONG = 2**53 - 1

Long = NewType("Long", int)


def _time_out(value: datetime) -> str:
    # Not strftime, whose %Y writes the year 99 in two digits.
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _time_in(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError('A DateTime is a string: "2026-01-31T12:00:00.000Z".')
    # The letters may be small, and Python's are not.
    parsed = datetime.fromisoformat(value.upper())
    if parsed.tzinfo is None:
        raise ValueError("A DateTime names its offset: end it with Z.")
    return parsed.astimezone(UTC)


def _decimal_out(value: Decimal) -> str:
    # Without the sign of a negative zero.
    text = f"{value or abs(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimal_in(value: object) -> Decimal:
    if not isinstance(value, str) or len(value) > LONGEST_DECIMAL or DECIMAL.fullmatch(value) is None:
        raise ValueError(
            f'A Decimal is a number in a string of at most {LONGEST_DECIMAL}, without exponent: "0.00042".'
        )
    return Decimal(value)


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
    description="RFC 3339, UTC, exactly three fractional digits. Going in, any offset and any number of digits.",
    specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
    serialize=_time_out,
    parse_value=_time_in,
)
DecimalNumber = strawberry.scalar(
    name="Decimal",
    description='A decimal number as a string, without exponent: "0.00042". Going in, at most 40 characters.',
    specified_by_url="https://www.w3.org/TR/xmlschema11-2/#decimal",
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
    specified_by_url="https://www.rfc-editor.org/rfc/rfc7493#section-2.2",
    serialize=int,
    parse_value=_long_in,
)

OVERRIDES: dict[object, type | ScalarWrapper | ScalarDefinition] = {
    datetime: DateTime,
    Decimal: DecimalNumber,
    JSON: JsonValue,
    Long: LongNumber,
}
