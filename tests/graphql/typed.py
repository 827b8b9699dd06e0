"""Whether an answer is what its document asked for, and nothing that its types rule out."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLEnumType,
    GraphQLIncludeDirective,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLSkipDirective,
    GraphQLUnionType,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    get_directive_values,
    is_abstract_type,
)

from resolvers.node import decode
from server.graphql.errors import Code

LEAK = re.compile(
    r"Traceback|asyncpg|tortoise|strawberry|\.py\b|object at 0x|<class |Error\(|psycopg|syntax error at or near"
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d*[1-9])?")


def flaws(schema: GraphQLSchema, document: DocumentNode, answer: Mapping[str, Any]) -> list[str]:
    """Of documents with one operation, without named fragments, that select `__typename` of whatever has fields."""
    found = [flaw for error in answer.get("errors", ()) for flaw in _of_error(error, answer.get("data"))]
    if answer.get("data") is None:
        return found if answer.get("errors") else [*found, "neither data nor errors"]
    [operation] = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    root = schema.get_root_type(operation.operation)
    assert root is not None
    of_data = _Types(schema).of_fields(root, operation.selection_set.selections, answer["data"], "data")
    return [*found, *of_data]


def _of_error(error: Mapping[str, Any], data: object) -> Iterator[str]:
    code = error.get("extensions", {}).get("code")
    if code not in set(Code) or code == Code.INTERNAL:
        yield f"code {code}: {error['message']}"
    if LEAK.search(error["message"]):
        yield f"leak: {error['message']}"
    for step in error.get("path", ()):
        if data is None:
            return
        data = data[step]  # type: ignore[index]  # a path that leads nowhere is a flaw, and shows as a bug
    if "path" in error and data is not None:
        yield f"{error['path']} has an error and is not null"


class _Types:
    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema

    def of_fields(
        self, of: GraphQLObjectType, selections: Iterable[SelectionNode], value: Mapping[str, Any], path: str
    ) -> Iterator[str]:
        asked: defaultdict[str, list[FieldNode]] = defaultdict(list)
        self._collect(of, selections, asked)
        if list(asked) != list(value):
            yield f"{path}: {list(value)} instead of {list(asked)}"
            return
        for key, nodes in asked.items():
            field = self._schema.get_field(of, nodes[0].name.value)
            assert field is not None
            yield from self._value(field.type, nodes, value[key], f"{path}.{key}")
            if nodes[0].name.value == "id" and (decode(value[key]) or [""])[0] != of.name:
                yield f"{path}.{key}: {value[key]} is no id of {of.name}"

    def _collect(
        self, of: GraphQLObjectType, selections: Iterable[SelectionNode], asked: defaultdict[str, list[FieldNode]]
    ) -> None:
        for node in selections:
            if not _is_included(node):
                continue
            if isinstance(node, FieldNode):
                asked[(node.alias or node.name).value].append(node)
            elif isinstance(node, InlineFragmentNode) and node.type_condition is not None:
                condition = self._schema.type_map[node.type_condition.name.value]
                if condition is of or (is_abstract_type(condition) and self._schema.is_sub_type(condition, of)):
                    self._collect(of, node.selection_set.selections, asked)

    def _value(self, of: GraphQLOutputType, nodes: list[FieldNode], value: object, path: str) -> Iterator[str]:
        match of:
            case GraphQLNonNull():
                if value is None:
                    yield f"{path}: null is no {of}"
                yield from self._value(of.of_type, nodes, value, path)
            case _ if value is None:
                return
            case GraphQLList():
                if not isinstance(value, list):
                    yield f"{path}: {value!r} is no list"
                    return
                for index, each in enumerate(value):
                    yield from self._value(of.of_type, nodes, each, f"{path}.{index}")
            case GraphQLScalarType() | GraphQLEnumType():
                if not _is_leaf(of, value):
                    yield f"{path}: {value!r} is no {of}"
            case _:
                yield from self._object(of, nodes, value, path)

    def _object(self, of: GraphQLNamedType, nodes: list[FieldNode], value: object, path: str) -> Iterator[str]:
        assert isinstance(of, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType)
        name = value.get("__typename") if isinstance(value, dict) else None
        members = [of] if isinstance(of, GraphQLObjectType) else self._schema.get_possible_types(of)
        member = next((each for each in members if each.name == name), None)
        if member is None or not isinstance(value, dict):
            yield f"{path}: {name or value!r} is no {of}"
            return
        selections = [each for node in nodes if node.selection_set for each in node.selection_set.selections]
        yield from self.of_fields(member, selections, value, path)


def _is_included(node: SelectionNode) -> bool:
    skip, include = (get_directive_values(each, node) for each in (GraphQLSkipDirective, GraphQLIncludeDirective))
    return not (skip and skip["if"]) and (include is None or bool(include["if"]))


def _is_leaf(of: GraphQLScalarType | GraphQLEnumType, value: object) -> bool:
    if isinstance(of, GraphQLEnumType):
        return value in of.values
    match of.name:
        case "JSON":
            return True
        case "Boolean":
            return isinstance(value, bool)
        case "Int" | "Long":
            most = 2**31 if of.name == "Int" else 2**53
            return isinstance(value, int) and not isinstance(value, bool) and -most <= value < most
        case "Float":
            return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        case "DateTime":
            return isinstance(value, str) and TIME.fullmatch(value) is not None
        case "Decimal":
            return isinstance(value, str) and DECIMAL.fullmatch(value) is not None and value != "-0"
        case _:
            return isinstance(value, str) and _is_unicode(value)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
