"""The cost pass: what it counts, and that counting each fragment once changes nothing."""

from dataclasses import dataclass

import pytest
from graphql import FragmentDefinitionNode, OperationDefinitionNode, build_schema, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from server.graphql.cost import SATURATED, Weight, root_fields, weigh

SCHEMA = build_schema(
    """
    type Query { leaf: Int, box: Box!, boxes(first: Int, last: Int): BoxConnection!, log(first: Int): LogPage!,
      nodes(ids: [ID!]!): [Box]!, plain: [Box!]!, any: Any }
    interface Any { leaf: Int }
    type Box implements Any { leaf: Int, box: Box!, boxes(first: Int, last: Int): BoxConnection! }
    type BoxConnection { nodes: [Box!]! }
    type LogPage { nodes: [Box!]! }
    """
)
assert SCHEMA.query_type is not None
# As Strawberry declares a default; a schema that is built from SDL keeps it as a literal.
SCHEMA.query_type.fields["log"].args["first"].default_value = 100


def weight(source: str, **variables: object) -> Weight:
    operation, fragments = parts(source)
    return weigh(SCHEMA, operation, fragments, variables)


def parts(source: str) -> tuple[OperationDefinitionNode, dict[str, FragmentDefinitionNode]]:
    definitions = parse(source).definitions
    fragments = {node.name.value: node for node in definitions if isinstance(node, FragmentDefinitionNode)}
    return next(node for node in definitions if isinstance(node, OperationDefinitionNode)), fragments


@pytest.mark.parametrize(
    ("source", "variables", "cost"),
    [
        ("{leaf}", {}, 1),
        ("{boxes(first: 5) {nodes {leaf}}}", {}, 1 + 5 * 2),
        ("{boxes(last: 7) {nodes {leaf}}}", {}, 1 + 7 * 2),
        ("{boxes(first: 5, last: 7) {nodes {leaf}}}", {}, 1 + 7 * 2),
        ("{boxes {nodes {leaf}}}", {}, 1 + 20 * 2),
        ("{boxes(first: null) {nodes {leaf}}}", {}, 1 + 20 * 2),
        ("{log {nodes {leaf}}}", {}, 1 + 100 * 2),
        ("{log(first: 500) {nodes {leaf}}}", {}, 1 + 500 * 2),
        ("query($n: Int) {boxes(first: $n) {nodes {leaf}}}", {"n": 3}, 1 + 3 * 2),
        ("query($n: Int = 4) {boxes(first: $n) {nodes {leaf}}}", {}, 1 + 4 * 2),
        ("query($n: Int = 4) {boxes(first: $n) {nodes {leaf}}}", {"n": None}, 1 + 20 * 2),
        ("query($n: Int) {boxes(first: $n) {nodes {leaf}}}", {"n": 10**9}, 1 + 500 * 2),
        ("query($n: Int) {boxes(first: $n) {nodes {leaf}}}", {"n": -5}, 1 + 1 * 2),
        ("query($n: Int) {boxes(first: $n) {nodes {leaf}}}", {"n": True}, 1 + 20 * 2),
        ("query($n: Int) {boxes(first: $n) {nodes {leaf}}}", {"n": "9"}, 1 + 20 * 2),
        ("{boxes(first: 9999999999999999) {nodes {leaf}}}", {}, 1 + 500 * 2),
        ("{boxes(first: 2) {nodes {boxes(first: 3) {nodes {leaf}}}}}", {}, 1 + 2 * (1 + (1 + 3 * 2))),
        ("{plain {leaf}}", {}, 1 + 10 * 1),
        ('{nodes(ids: ["a", "b"]) {leaf}}', {}, 1 + 2 * 1),
        ("query($i: [ID!]!) {nodes(ids: $i) {leaf}}", {"i": ["a"] * 30}, 1 + 30 * 1),
        ("{any {... on Box {boxes {nodes {leaf}}}}}", {}, 1 + 1 + 20 * 2),
        ("{... {boxes {nodes {leaf}}}}", {}, 1 + 20 * 2),
        ("{nothing(first: 3) {leaf}}", {}, 1 + 3 * 1),
    ],
)
def test_the_cost_is_the_fields_resolved_were_every_page_full(
    source: str, variables: dict[str, object], cost: int
) -> None:
    assert weight(source, **variables).cost == cost


def test_every_count_sees_through_fragments() -> None:
    source = "query @d {a: leaf ...F @d ... @d {b: leaf}} fragment F on Query @d {box @d {box {leaf}} box {c: leaf}}"
    assert weight(source) == Weight(width=4, branches=2, widest=2, depth=3, fields=7, aliases=3, directives=5, cost=7)


def test_a_fragment_named_like_introspection_is_counted_as_any_other() -> None:
    assert weight("{...__schema} fragment __schema on Query {boxes {nodes {leaf}}}").cost == 41


@pytest.mark.parametrize(
    "source",
    [
        "{...A} fragment A on Query {leaf ...A}",
        "{...A} fragment A on Query {leaf ...B} fragment B on Query {...A}",
        "{leaf ...Nowhere}",
    ],
)
def test_cycles_and_unknown_fragments_weigh_nothing(source: str) -> None:
    assert weight(source).fields == 1


def test_a_hundred_doubling_fragments_saturate() -> None:
    doubling = " ".join(f"fragment F{n} on Query {{...F{n + 1} ...F{n + 1}}}" for n in range(100))
    assert weight(f"{{...F0}} {doubling} fragment F100 on Query {{leaf}}").fields == SATURATED


def test_root_fields_are_found_through_fragments_and_cycles() -> None:
    source = (
        "{leaf ...A ... {any}} fragment A on Query {x: box {leaf} ...B} fragment B on Query {plain {leaf} ...A ...C}"
    )
    operation, fragments = parts(source)
    assert root_fields(operation, fragments) == {"leaf", "box", "any", "plain"}


@dataclass(frozen=True)
class Field:
    """The tree that the naive count expands to: `times` is how often what is below it is resolved."""

    alias: bool
    times: int
    below: "tuple[Field, ...] | None"


@dataclass(frozen=True)
class Spread:
    fragment: int


Selection = Field | Spread
Sets = list[tuple[Selection, ...]]


@st.composite
def selection_sets(draw: st.DrawFn, fragments: int, depth: int = 2) -> tuple[Selection, ...]:
    spreads = [st.builds(Spread, st.integers(0, fragments - 1))] if fragments else []
    leaf = st.builds(Field, st.booleans(), st.just(1), st.none())
    below = [st.builds(Field, st.booleans(), st.integers(1, 4), selection_sets(fragments, depth - 1))] if depth else []
    return tuple(draw(st.lists(st.one_of(leaf, *spreads, *below), min_size=1, max_size=3)))


@st.composite
def documents(draw: st.DrawFn) -> Sets:
    """A fragment spreads only earlier ones, so that nothing is a cycle; the last entry is the operation."""
    return [draw(selection_sets(number)) for number in range(draw(st.integers(1, 5)))]


@settings(max_examples=100, deadline=None)
@given(documents())
def test_counting_each_fragment_once_is_the_same_as_expanding_everything(sets: Sets) -> None:
    fragments = " ".join(f"fragment F{n} on Box {{{_text(sets[n])}}}" for n in range(len(sets) - 1))
    counted = weight(f"{{box {{{_text(sets[-1])}}}}} {fragments}")
    assert counted == _naive((Field(False, 1, _expanded(sets[-1], sets)),))


def _text(selections: tuple[Selection, ...]) -> str:
    return " ".join(f"...F{each.fragment}" if isinstance(each, Spread) else _field_text(each) for each in selections)


def _field_text(field: Field) -> str:
    alias = "x: " if field.alias else ""
    if field.below is None:
        return f"{alias}leaf"
    return f"{alias}boxes(first: {field.times}) {{{_text(field.below)}}}"


def _expanded(selections: tuple[Selection, ...], sets: Sets) -> tuple[Field, ...]:
    fields: list[Field] = []
    for each in selections:
        if isinstance(each, Spread):
            fields += _expanded(sets[each.fragment], sets)
        else:
            fields.append(Field(each.alias, each.times, None if each.below is None else _expanded(each.below, sets)))
    return tuple(fields)


def _naive(fields: tuple[Field, ...]) -> Weight:
    below = [_naive(field.below or ()) for field in fields]
    branches = sum(field.below is not None for field in fields)
    return Weight(
        width=len(fields),
        branches=branches,
        widest=max([branches, *(each.widest for each in below)]),
        depth=max([1 + each.depth for each in below], default=0),
        fields=sum(1 + each.fields for each in below),
        aliases=sum(field.alias + each.aliases for field, each in zip(fields, below, strict=True)),
        directives=0,
        cost=sum(1 + sum(each.cost for _ in range(field.times)) for field, each in zip(fields, below, strict=True)),
    )
