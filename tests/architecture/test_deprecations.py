"""Whoever reads that something is deprecated learns what to take instead, and from which day on it will be gone."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
)

import schema

Member = GraphQLField | GraphQLArgument | GraphQLInputField | GraphQLEnumValue
WHEN = re.compile(r"\bgone from (\d{4}-\d{2}-\d{2})\b")
PLANTED = """
type Query {
  kept: Int
  good: Int @deprecated(reason: "Use `kept`; gone from 2027-06-30.")
  silent: Int @deprecated
  undated: Int @deprecated(reason: "Use `kept`.")
  misdated: Int @deprecated(reason: "Use `kept`; gone from 2027-13-01.")
  wordless: Int @deprecated(reason: "gone from 2027-06-30")
  asked(bad: Int @deprecated(reason: "Do not."), by: Given, of: Kind): Int
}
input Given { bad: Int @deprecated(reason: "") }
enum Kind { GOOD @deprecated(reason: "Say BETTER, gone from 2027-06-30.") BAD @deprecated(reason: "No.") BETTER }
"""


def test_each_deprecation_has_a_reason_and_a_date() -> None:
    assert list(unexplained(schema.build()._schema)) == []


def test_one_without_is_found_wherever_it_stands() -> None:
    assert list(unexplained(build_schema(PLANTED))) == [
        *("Query.silent", "Query.undated", "Query.misdated", "Query.wordless", "Query.asked(bad:)"),
        *("Given.bad", "Kind.BAD"),
    ]


def unexplained(types: GraphQLSchema) -> Iterator[str]:
    for place, member in members(types):
        if member.deprecation_reason is not None and not explains(member.deprecation_reason):
            yield place


def explains(reason: str) -> bool:
    match = WHEN.search(reason)
    if match is None or reason.startswith(match[0]):
        return False
    with suppress(ValueError):
        return bool(date.fromisoformat(match[1]))
    return False


def members(types: GraphQLSchema) -> Iterator[tuple[str, Member]]:
    for named in types.type_map.values():
        if isinstance(named, GraphQLEnumType):
            yield from ((f"{named.name}.{name}", value) for name, value in named.values.items())
        elif isinstance(named, GraphQLInputObjectType):
            yield from ((f"{named.name}.{name}", given) for name, given in named.fields.items())
        elif isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in named.fields.items():
                yield f"{named.name}.{name}", field
                yield from ((f"{named.name}.{name}({each}:)", given) for each, given in field.args.items())
