"""How values are written in answers."""

import pytest
import strawberry


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("-0", "0"),
        ("-0.0", "0"),
        ("0.00", "0"),
        ("-1.50", "-1.5"),
        ("1e3", "1000"),
        ("0.00042", "0.00042"),
        ("100", "100"),
    ],
)
def test_a_decimal_has_neither_exponent_nor_needless_zeros_nor_a_negative_zero(
    built: strawberry.Schema, given: str, written: str
) -> None:
    decimal = built._schema.type_map["Decimal"]
    assert decimal.serialize(decimal.parse_value(given)) == written  # type: ignore[attr-defined]  # it is a scalar
