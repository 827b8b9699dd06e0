"""Operations that are valid by the schema, with arguments that are sensible, hostile, or ids of what there is."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSyntaxError,
    GraphQLUnionType,
    OperationType,
    Undefined,
    coerce_input_literal,
    get_named_type,
    is_composite_type,
    is_required_argument,
    is_required_input_field,
    parse_value,
)
from hypothesis import strategies as st

from tests.graphql.ids import MALFORMED, UNKNOWN
from tests.graphql.known import Known
from tests.graphql.places import KINDS
from tests.graphql.scalars import HOSTILE, SENSIBLE

DEEPEST = 6
MOST_FIELDS = 60
# Often asked, as most happens there.
KINDS_OF_OPERATION = [OperationType.QUERY] * 4 + [OperationType.MUTATION] * 4 + [OperationType.SUBSCRIPTION]


class EnumValue(str):
    """Stands in a document without quotes."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Operation:
    kind: OperationType
    document: str
    variables: dict[str, Any]
    roots: tuple[str, ...]


@st.composite
def operations(draw: st.DrawFn, schema: GraphQLSchema, known: Known) -> Operation:
    kind = draw(st.sampled_from(KINDS_OF_OPERATION))
    root = schema.get_root_type(kind)
    assert root is not None
    most = 1 if kind is OperationType.SUBSCRIPTION else 3
    names = draw(st.lists(st.sampled_from(sorted(root.fields)), min_size=1, max_size=most))
    pen = _Pen(draw, schema, known)
    fields = " ".join(pen.field(name, root.fields[name], DEEPEST, alias=True) for name in names)
    declared = f"({', '.join(pen.declared)})" if pen.declared else ""
    return Operation(kind, f"{kind.value}{declared} {{ {fields} }}", pen.variables, tuple(names))


@dataclass(slots=True)
class _Pen:
    """Writes one document."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    schema: GraphQLSchema
    known: Known
    declared: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    fields: int = 0

    def field(self, name: str, of: GraphQLField, depth: int, *, alias: bool = False) -> str:
        self.fields += 1
        given = [
            f"{each}: {self._argument(each, argument.type, of)}"
            for each, argument in of.args.items()
            if is_required_argument(argument) or self._one_in(2)
        ]
        head = f"f{self.fields}: {name}" if alias or given else name
        called = f"{head}({', '.join(given)})" if given else head
        # The root of a subscription may have no directive.
        directive = "" if depth == DEEPEST else self._directive()
        return f"{called}{directive} {self._selected(get_named_type(of.type), depth)}"

    def _selected(self, of: GraphQLNamedType, depth: int) -> str:
        if not is_composite_type(of):
            return ""
        own = [] if isinstance(of, GraphQLUnionType) else self._some_fields(of, depth, alias=False)
        apart = [] if isinstance(of, GraphQLObjectType) else self._apart(of, depth)
        return f"{{ {' '.join(['__typename', *own, *apart])} }}"

    def _apart(self, of: GraphQLNamedType, depth: int) -> list[str]:
        """What some of its types have, and the interfaces of these; under names of their own, which never conflict."""
        assert isinstance(of, GraphQLUnionType | GraphQLInterfaceType)
        members = self.schema.get_possible_types(of)
        interfaces = {each.name: each for member in members for each in member.interfaces}
        # The success of a mutation is the first.
        some = [members[0], *self.draw(st.lists(st.sampled_from([*members, *interfaces.values()]), max_size=3))]
        return [
            f"... on {each.name}{self._directive()} {{ __typename {' '.join(self._some_fields(each, depth, alias=True))} }}"
            for each in some
        ]

    def _some_fields(self, of: GraphQLNamedType, depth: int, *, alias: bool) -> list[str]:
        assert isinstance(of, GraphQLObjectType | GraphQLInterfaceType)
        deep = [name for name, each in of.fields.items() if is_composite_type(get_named_type(each.type))]
        flat = [name for name in of.fields if name not in deep]
        names = self._some(flat, 5) + (self._some(deep, 3) if depth > 1 and self.fields < MOST_FIELDS else [])
        return [self.field(name, of.fields[name], depth - 1, alias=alias) for name in names]

    def _argument(self, name: str, of: GraphQLInputType, asked: GraphQLField) -> str:
        value = self._value(name, of, asked)
        if self._one_in(3) and (literal := _literal(value, of)) is not None:
            return literal
        variable = f"v{len(self.variables)}"
        self.declared.append(f"${variable}: {of}")
        self.variables[variable] = value
        return f"${variable}"

    def _value(self, name: str, of: GraphQLInputType, asked: GraphQLField) -> object:
        match of:
            case GraphQLNonNull():
                return self._present(name, of.of_type, asked)
            case _:
                return None if self._one_in(8) else self._present(name, of, asked)

    def _present(self, name: str, of: GraphQLInputType, asked: GraphQLField) -> object:
        match of:
            case GraphQLList():
                return [self._value(name, of.of_type, asked) for _ in range(self._number(4))]
            case GraphQLInputObjectType():
                return {
                    each: self._value(each, declared.type, asked)
                    for each, declared in of.fields.items()
                    if is_required_input_field(declared) or self._one_in(3)
                }
            case GraphQLEnumType():
                return EnumValue(self.draw(st.sampled_from(list(of.values))))
            case _:
                return self._scalar(name, get_named_type(of).name, asked)

    def _scalar(self, name: str, of: str, asked: GraphQLField) -> object:
        if self._one_in(8):
            return self.draw(st.sampled_from(MALFORMED) if of == "ID" else HOSTILE[of])
        if of == "ID":
            kind = KINDS.get(name) or get_named_type(asked.type).name
            return self.known.id(kind if kind in UNKNOWN and not self._one_in(8) else None, self._number(10_000))
        if of == "String" and name in ("after", "before"):
            return self.known.cursor(self._number(10_000))
        return self.draw(SENSIBLE.get((of, name), SENSIBLE[of, ""]))

    def _some(self, names: list[str], most: int) -> list[str]:
        return list(self.draw(st.lists(st.sampled_from(names), unique=True, max_size=most))) if names else []

    def _directive(self) -> str:
        return self.draw(st.sampled_from([" @include(if: false)", " @skip(if: false)"])) if self._one_in(15) else ""

    def _one_in(self, chances: int) -> bool:
        return self._number(chances) == 0

    def _number(self, below: int) -> int:
        return int(self.draw(st.integers(0, below - 1)))


def _literal(value: object, of: GraphQLInputType) -> str | None:
    """None where it cannot stand in a valid document: lone surrogates, keys that are no names, and what is not of its type."""
    text = _written(value)
    try:
        return None if coerce_input_literal(parse_value(text), of) is Undefined else text
    except GraphQLSyntaxError:
        return None


def _written(value: object) -> str:
    match value:
        case EnumValue():
            return str(value)
        case Mapping():
            return "{" + ", ".join(f"{key}: {_written(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_written, value)) + "]"
        case _:
            return json.dumps(value)
