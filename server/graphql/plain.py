"""Events of plain fields only, answered without running graphql-core for each: the same data for a tenth of its time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import (
    Executor,
    GraphQLField,
    GraphQLLeafType,
    GraphQLNamedType,
    GraphQLObjectType,
    Undefined,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetailsList, collect_fields, collect_subfields
from graphql.pyutils import Path

Read = Callable[[object], object]


class NotPlain(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Root:
    name: str
    field: GraphQLField
    details: FieldDetailsList
    parent: GraphQLObjectType


class PlainEvents:
    """For the events of one subscription. The class of an event decides its type, see `schema/of.py`."""

    def __init__(self, executor: Executor[Any]) -> None:
        self._executor = executor
        self._readers: dict[type, Read | None] = {}

    def answer(self, event: object) -> object | None:
        """The `data`; None: the event has to be executed."""
        try:
            read = self._readers[type(event)]
        except KeyError:
            read = self._readers[type(event)] = self._reader(event)
        try:
            return read(event) if read is not None else None
        except Exception:  # executing it finds the same, and says it as GraphQL does
            return None

    def _reader(self, event: object) -> Read | None:
        if self._executor.middleware_manager is not None:
            return None
        try:
            root = self._root()
            fields = self._fields(root, self._type_of(event, root))
        except NotPlain:
            return None
        name = root.name
        return lambda event: {name: {field: read(event) for field, read in fields}}

    def _root(self) -> _Root:
        executor = self._executor
        parent = executor.schema.subscription_type
        assert parent is not None
        found = collect_fields(
            executor.schema, executor.fragments, executor.variable_values, parent, executor.operation
        )
        [(name, details)] = found.grouped_field_set.items()
        field = executor.schema.get_field(parent, details[0].node.name.value)
        if field is None or is_list_type(get_nullable_type(field.type)):
            raise NotPlain
        return _Root(name, field, details, parent)

    def _type_of(self, event: object, root: _Root) -> GraphQLObjectType:
        executor = self._executor
        nodes = [detail.node for detail in root.details]
        info = executor.build_resolve_info(root.field, nodes, root.parent, Path(None, root.name, root.parent.name))
        resolve = root.field.resolve or executor.field_resolver
        if resolve(event, info) is not event:
            raise NotPlain
        named: GraphQLNamedType | None = get_named_type(root.field.type)
        if is_abstract_type(named):
            found = (named.resolve_type or executor.type_resolver)(event, info, named)
            named = executor.schema.get_type(found) if isinstance(found, str) else None
        if not is_object_type(named):
            raise NotPlain
        return named

    def _fields(self, root: _Root, kind: GraphQLObjectType) -> tuple[tuple[str, Read], ...]:
        executor = self._executor
        found = collect_subfields(
            executor.schema, executor.fragments, executor.variable_values, executor.operation, kind, root.details
        )
        if found.new_defer_usages:
            raise NotPlain
        return tuple((name, self._read(kind, details)) for name, details in found.grouped_field_set.items())

    def _read(self, kind: GraphQLObjectType, details: FieldDetailsList) -> Read:
        name = details[0].node.name.value
        if name == "__typename":
            return lambda _: kind.name
        field = self._executor.schema.get_field(kind, name)
        # Strawberry's mark of a field that is the attribute of its name.
        if field is None or field.resolve is None or not getattr(field.resolve, "_is_default", False):
            raise NotPlain
        leaf = field.type.of_type if is_non_null_type(field.type) else field.type
        if not is_leaf_type(leaf):
            raise NotPlain
        return _leaf_reader(field.resolve, leaf, optional=leaf is field.type)


def _leaf_reader(resolve: Callable[..., object], leaf: GraphQLLeafType, *, optional: bool) -> Read:
    coerce = leaf.coerce_output_value

    def read(event: object) -> object:
        value = resolve(event, None)
        if value is None and optional:
            return None
        coerced = coerce(value)
        if value is None or coerced is None or coerced is Undefined:
            raise NotPlain
        return coerced

    return read
