"""One operation for each root field of a schema, with every argument and all that is near: for compilers to choke on."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    OperationType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

NEAR = 2


def operations(schema: GraphQLSchema, prefix: str) -> Iterator[str]:
    """Each named as Relay wants it: `prefix`, which is the module's name, the field, and the kind."""
    for kind in OperationType:
        root = schema.get_root_type(kind)
        assert root is not None
        for name, field in root.fields.items():
            yield _operation(schema, kind, f"{prefix}{name[0].upper()}{name[1:]}{kind.value.title()}", name, field)


def _operation(schema: GraphQLSchema, kind: OperationType, title: str, name: str, field: GraphQLField) -> str:
    declared = ", ".join(f"${each}: {argument.type}" for each, argument in field.args.items())
    given = ", ".join(f"{each}: ${each}" for each in field.args)
    head = f"{kind.value} {title}{f'({declared})' if declared else ''}"
    call = f"{name}{f'({given})' if given else ''}"
    return f"{head} {{ {call} {selection(schema, get_named_type(field.type), NEAR)} }}"


def selection(schema: GraphQLSchema, of: GraphQLNamedType, near: int) -> str:
    """All of its fields that need no argument; objects as far as `near` reaches."""
    if is_leaf_type(of):
        return ""
    fields = _fields(schema, of, near) if isinstance(of, GraphQLObjectType | GraphQLInterfaceType) else {}
    selected = list(fields.values())
    if isinstance(of, GraphQLUnionType | GraphQLInterfaceType):
        members = schema.get_possible_types(of)
        # In a union no field has two types, and what has would fail here; an interface has what implements it.
        apart = _of_two_types(members) if isinstance(of, GraphQLInterfaceType) else frozenset()
        for member in members:
            own = {name: text for name, text in _fields(schema, member, near).items() if name not in fields}
            named = [f"{member.name}_{name}: {text}" if name in apart else text for name, text in own.items()]
            selected += [f"... on {member.name} {{ {' '.join(named)} }}"] if own else []
    return f"{{ __typename {' '.join(selected)} }}"


def _fields(schema: GraphQLSchema, of: GraphQLObjectType | GraphQLInterfaceType, near: int) -> dict[str, str]:
    askable = [(n, f) for n, f in of.fields.items() if not any(map(is_required_argument, f.args.values()))]
    return {
        name: f"{name} {selection(schema, get_named_type(field.type), near - 1)}".strip()
        for name, field in askable
        if near or is_leaf_type(get_named_type(field.type))
    }


def _of_two_types(members: Iterable[GraphQLObjectType]) -> frozenset[str]:
    types = defaultdict[str, set[str]](set)
    for member in members:
        for name, field in member.fields.items():
            types[name].add(str(field.type))
    return frozenset(name for name, found in types.items() if len(found) > 1)
