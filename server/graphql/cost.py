"""What an operation would cost, from its text and variables: one pass, each fragment weighed once."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from graphql import (
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    type_from_ast,
)

# Doubling fragments grow past any machine word: counts stop here.
SATURATED = 1_000_000_000
DEFAULT_PAGE = 20
# No field honours a larger page; what asks for more is told so by its resolver, as BAD_PAGE.
LARGEST_PAGE = 500
# Lists without pages (quotas, keys, models) have caps of their own in the schema; few are ever near them.
PLAIN_LIST = 10
PAGED = ("Connection", "Page")


class Weight(NamedTuple):
    """`width` and `branches` count this selection set alone, fragments expanded; the rest counts all below it.

    `branches` are fields with selections of their own, `widest` is the most of them in any one selection set.
    """

    width: int = 0
    branches: int = 0
    widest: int = 0
    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    cost: int = 0


NOTHING = Weight()


def weigh(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
) -> Weight:
    """Works on documents that were not validated: unknown names weigh one, cycles nothing."""
    scales = _Scales(schema, fragments, _page_variables(operation, variables))
    weight = scales.selection_set(operation.selection_set, schema.get_root_type(operation.operation))
    return weight._replace(directives=weight.directives + len(operation.directives or ()))


def root_fields(operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> frozenset[str]:
    names: set[str] = set()
    spread: set[str] = set()
    open_sets = [operation.selection_set]
    while open_sets:
        for selection in open_sets.pop().selections:
            if isinstance(selection, FieldNode):
                names.add(selection.name.value)
            elif isinstance(selection, InlineFragmentNode):
                open_sets.append(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in spread:
                spread.add(selection.name.value)
                if (fragment := fragments.get(selection.name.value)) is not None:
                    open_sets.append(fragment.selection_set)
    return frozenset(names)


class _Scales:
    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, object],
    ) -> None:
        self._schema, self._fragments, self._variables = schema, fragments, variables
        self._weighed: dict[str, Weight] = {}

    def selection_set(self, node: SelectionSetNode, parent: GraphQLNamedType | None) -> Weight:
        return _sum(self._selection(selection, parent) for selection in node.selections)

    def _selection(self, node: SelectionNode, parent: GraphQLNamedType | None) -> Weight:
        if isinstance(node, FieldNode):
            return self._field(node, parent)
        if isinstance(node, FragmentSpreadNode):
            return _directed(self._fragment(node.name.value), node.directives)
        assert isinstance(node, InlineFragmentNode)
        inner = parent if node.type_condition is None else type_from_ast(self._schema, node.type_condition)
        return _directed(self.selection_set(node.selection_set, inner), node.directives)

    def _fragment(self, name: str) -> Weight:
        if name in self._weighed:
            return self._weighed[name]
        # A spread inside itself finds this; the spec's own rules report the cycle.
        self._weighed[name] = NOTHING
        fragment = self._fragments.get(name)
        if fragment is not None:
            inner = self.selection_set(fragment.selection_set, type_from_ast(self._schema, fragment.type_condition))
            self._weighed[name] = _directed(inner, fragment.directives)
        return self._weighed[name]

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None) -> Weight:
        field = self._definition(parent, node.name.value)
        inner = NOTHING
        if node.selection_set is not None:
            inner = self.selection_set(node.selection_set, None if field is None else get_named_type(field.type))
        return Weight(
            width=1,
            branches=int(node.selection_set is not None),
            widest=inner.widest,
            depth=1 + inner.depth,
            fields=_saturate(1 + inner.fields),
            aliases=_saturate(inner.aliases + int(node.alias is not None)),
            directives=_saturate(inner.directives + len(node.directives or ())),
            cost=_saturate(1 + inner.cost * self._size(node, field, parent)),
        )

    def _definition(self, parent: GraphQLNamedType | None, name: str) -> GraphQLField | None:
        if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
            return self._schema.get_field(parent, name)
        return None

    def _size(self, node: FieldNode, field: GraphQLField | None, parent: GraphQLNamedType | None) -> int:
        """How many times what is selected below the field is resolved."""
        arguments = {argument.name.value: argument.value for argument in node.arguments or ()}
        asked = [self._page(arguments[name]) for name in ("first", "last") if name in arguments]
        if any(asked):
            return max(asked)
        if field is None:
            return 1
        named = get_named_type(field.type)
        if named.name.endswith(PAGED):
            return _default_page(field)
        if "ids" in arguments:
            return self._length(arguments["ids"])
        if is_list_type(get_nullable_type(field.type)) and is_composite_type(named):
            # The entries of a page were counted with the page; introspection has its own depth rule.
            return 1 if parent is None or parent.name.endswith(PAGED) or parent.name.startswith("__") else PLAIN_LIST
        return 1

    def _page(self, node: ValueNode) -> int:
        """0 where no size is given: null, or something that is not a number."""
        value = self._variables.get(node.name.value) if isinstance(node, VariableNode) else _literal(node)
        if not isinstance(value, int) or isinstance(value, bool):
            return 0
        return min(max(value, 1), LARGEST_PAGE)

    def _length(self, node: ValueNode) -> int:
        if isinstance(node, ListValueNode):
            return max(1, len(node.values))
        value = self._variables.get(node.name.value) if isinstance(node, VariableNode) else None
        return max(1, len(value)) if isinstance(value, list) else 1


def _page_variables(operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> dict[str, object]:
    defaults = {
        definition.variable.name.value: _literal(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }
    return {**defaults, **variables}


def _literal(node: ValueNode) -> object:
    # An Int has 32 bits: a longer literal is too large for any page, and costs time to read.
    if isinstance(node, IntValueNode):
        return int(node.value) if len(node.value) <= 11 else LARGEST_PAGE
    return list(node.values) if isinstance(node, ListValueNode) else None


def _default_page(field: GraphQLField) -> int:
    first: GraphQLArgument | None = field.args.get("first")
    default = None if first is None else first.default_value
    return min(default, LARGEST_PAGE) if isinstance(default, int) and default > 0 else DEFAULT_PAGE


def _sum(weights: Iterable[Weight]) -> Weight:
    width = branches = widest = depth = fields = aliases = directives = cost = 0
    for weight in weights:
        width += weight.width
        branches += weight.branches
        widest = max(widest, weight.widest)
        depth = max(depth, weight.depth)
        fields += weight.fields
        aliases += weight.aliases
        directives += weight.directives
        cost += weight.cost
    return Weight(
        _saturate(width),
        _saturate(branches),
        max(widest, _saturate(branches)),
        depth,
        _saturate(fields),
        _saturate(aliases),
        _saturate(directives),
        _saturate(cost),
    )


def _directed(weight: Weight, directives: Iterable[DirectiveNode] | None) -> Weight:
    count = len(tuple(directives or ()))
    return weight._replace(directives=_saturate(weight.directives + count)) if count else weight


def _saturate(count: int) -> int:
    return min(count, SATURATED)
