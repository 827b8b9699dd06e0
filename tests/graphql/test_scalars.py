"""How values are written in answers, and which are taken."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import strawberry


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("-0", "0"),
        ("-0.0", "0"),
        ("0.00", "0"),
        ("-1.50", "-1.5"),
        (".5", "0.5"),
        ("+7.", "7"),
        ("0.00042", "0.00042"),
        ("100", "100"),
    ],
)
def test_a_decimal_has_neither_exponent_nor_needless_zeros_nor_a_negative_zero(
    built: strawberry.Schema, given: str, written: str
) -> None:
    decimal = built._schema.type_map["Decimal"]
    assert decimal.serialize(decimal.parse_value(given)) == written  # type: ignore[attr-defined]  # it is a scalar
    assert decimal.serialize(Decimal("1E+3")) == "1000"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "given", ["1e3", "1E+999999", "1_000", " 1", "\u0661", "NaN", "-Infinity", ".", "", "9" * 41, 1, 0.5]
)
def test_what_is_no_decimal_is_not_taken(built: strawberry.Schema, given: object) -> None:
    decimal = built._schema.type_map["Decimal"]
    with pytest.raises(ValueError, match="without exponent"):
        decimal.parse_value(given)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "given", ["2011-08-30T13:22:53.108Z", "2011-08-30t13:22:53.108z", "2011-08-30T16:52:53.108+03:30"]
)
def test_each_form_of_a_moment_that_its_specification_has_is_taken(built: strawberry.Schema, given: str) -> None:
    moment = built._schema.type_map["DateTime"]
    assert moment.parse_value(given) == datetime(2011, 8, 30, 13, 22, 53, 108_000, UTC)  # type: ignore[attr-defined]
