"""What stands in arguments: by scalar and the argument's name what a front end might say, and by scalar what only an attacker does."""

from hypothesis import strategies as st

from tests.graphql.front_end import script
from tests.graphql.models import ON_OFFER

SAYINGS = [
    "Hi",
    script(words=3),
    script(words=2, finish="length"),
    script(words=30, delay_ms=20),
    script(words=5, after=2, fault="cut"),
    script(fault="bad_request"),
    script(fault="lone_surrogate", words=3, after=1),
    script(say=['{"a": 1}']),
    "\N{GRINNING FACE}" * 50,
]
SCHEMAS = [
    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}},
    True,
]
PAGES = st.sampled_from([1, 2, 2, 3, 3, 5, 0, -1, 101, 501])
PRICES = st.sampled_from(["0", "1", "0.25", "1.5", "1000000", "0.000000001"])
TIMES = st.sampled_from(
    [
        "2020-01-31T12:00:00.000Z",
        "2026-11-01T00:00:00Z",
        "2026-12-01T00:00:00+05:30",
        "2027-01-01T00:00:00.123456-11:00",
    ]
)

SENSIBLE: dict[tuple[str, str], st.SearchStrategy[object]] = {
    ("String", ""): st.sampled_from(["a", "b", "new", "Some words.", "  spaces  ", "Ωmega"]),
    ("String", "text"): st.sampled_from(SAYINGS),
    ("String", "idempotencyKey"): st.integers(0, 300).map(lambda number: f"key-{number}"),
    ("String", "model"): st.sampled_from([*ON_OFFER, "retired", "none"]),
    ("String", "fallbacks"): st.sampled_from(ON_OFFER),
    ("String", "provider"): st.sampled_from(["here", "narrow", "none"]),
    ("String", "plan"): st.sampled_from(["unlimited", "guest", "none"]),
    ("Int", ""): st.integers(0, 20),
    ("Int", "first"): PAGES,
    ("Int", "last"): PAGES,
    ("Int", "after"): st.integers(0, 6),
    ("Int", "contextWindow"): st.sampled_from([128, 8192]),
    ("Int", "expectedVersion"): st.integers(0, 3),
    ("Float", ""): st.sampled_from([0, 0.0, 0.5, 1, 2.0]),
    ("Boolean", ""): st.booleans(),
    ("DateTime", ""): TIMES,
    ("DateTime", "from"): st.sampled_from(["2020-01-31T12:00:00.000Z", "2026-11-01T00:00:00Z"]),
    ("DateTime", "to"): st.sampled_from(["2026-12-01T00:00:00+05:30", "2027-01-01T00:00:00.123456-11:00"]),
    ("Decimal", ""): PRICES,
    ("JSON", ""): st.sampled_from(SCHEMAS),
    ("JSON", "schema"): st.sampled_from(SCHEMAS),
}

HOSTILE: dict[str, st.SearchStrategy[object]] = {
    "String": st.sampled_from(
        [
            "",
            " ",
            "\n",
            "\0",
            "a\0b",
            "\ud800",
            "\udc00\ud800",
            "\u202e",
            "%_\\'\";--",
            "x" * 201,
            "x" * 9_000,
            "\ufffe",
        ]
    )
    | st.text(max_size=30),
    "Int": st.sampled_from([-1, 2**31 - 1, -(2**31), 2**31, 2**53, 10**30, 1.0, 1.5, "1", True]) | st.integers(),
    "Float": st.sampled_from([-1, 1e308, 5e-324, -0.0, 10**308, 10**400, "1", 2**63])
    | st.floats(allow_nan=False, allow_infinity=False),
    "Boolean": st.sampled_from([0, 1, "true"]),
    "DateTime": st.sampled_from(
        [
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59.999999Z",
            "9999-12-31T23:59:59-23:59",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-W01-1T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "20260101T000000Z",
            "1970-01-01T00:00:00+00:00:01",
            "",
            "now",
            "\ud800",
            0,
        ]
    )
    | st.datetimes().map(lambda time: time.isoformat() + "Z"),
    "Decimal": st.sampled_from(
        [
            "-1",
            "-0",
            "1e5",
            "1E+400",
            "1E+999999",
            "1E-999999",
            "9" * 40,
            "0." + "0" * 37 + "1",
            "NaN",
            "Infinity",
            "1_000",
            "",
            "٣",
        ]
    )
    | st.decimals(allow_nan=False, allow_infinity=False).map(str),
    "Long": st.sampled_from([2**53 - 1, 2**53, -(2**53), 10**30, 1.0]),
    "JSON": st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=5)
        | st.sampled_from(["\ud800", "\0", 10**30, 1e308]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "$ref", "$defs", "properties", "items", "\ud800", "\0", "", "enum", "not"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=10,
    ),
}
