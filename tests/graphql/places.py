"""Every field of the contract that can be called, and every place in its arguments where an id stands: read off the schema."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    OperationType,
    get_named_type,
    is_introspection_type,
    is_required_argument,
    is_required_input_field,
)

from tests.everything import selection

NEAR = 1
NODES = ("Viewer", "User", "ApiKey", "Conversation", "Message", "Generation", "Model", "Plan", "Instruction")
# What an argument of this name is the id of; `id` and `ids` are of what the field answers with.
KINDS = {
    "a": "Message",
    "apiKey": "ApiKey",
    "b": "Message",
    "conversation": "Conversation",
    "expectedLeaf": "Message",
    "generation": "Generation",
    "leaf": "Message",
    "message": "Message",
    "parent": "Message",
    "reply": "Message",
    "user": "User",
}
# How a query comes to a type whose fields take ids.
REACHED = {"Conversation": "conversation(id: $here)"}
# What a call says where it has to say something.
SAID: Mapping[str, object] = {
    "after": 0,
    "contextWindow": 8192,
    "displayName": "New",
    "expectedVersion": 0,
    "inputPricePerMillion": "1",
    "key": "new",
    "name": "new",
    "nameAtProvider": "scripted",
    "outputPricePerMillion": "1",
    "plan": "unlimited",
    "provider": "here",
    "role": "USER",
    "scope": "PLATFORM",
    "state": "PAUSED",
    "text": "Hi",
}

Path = tuple[str, ...]
Naming = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Call:
    """A field of a root, or of a type within that a query comes to."""

    kind: OperationType
    of: str
    name: str
    declared: GraphQLField = field(compare=False)

    def __str__(self) -> str:
        return f"{self.of}.{self.name}"

    def id_places(self) -> Iterator[Path]:
        for name, argument in self.declared.args.items():
            yield from _id_places((name,), argument.type)

    def kind_of(self, place: Path) -> str:
        """KeyError: say in KINDS what an id of this name is."""
        if place[-1] not in ("id", "ids"):
            return KINDS[place[-1]]
        answered = get_named_type(self.declared.type)
        return "Conversation" if isinstance(answered, GraphQLInterfaceType) else answered.name

    def document(self, schema: GraphQLSchema, variables: Mapping[str, object]) -> str:
        declared = [f"${name}: {self.declared.args[name].type}" for name in variables if name != "here"]
        given = ", ".join(f"{name}: ${name}" for name in variables if name != "here")
        call = f"{self.name}{f'({given})' if given else ''} {self._selected(schema)}"
        if self.of in REACHED:
            declared, call = [*declared, "$here: ID!"], f"{REACHED[self.of]} {{ {call} }}"
        head = f"({', '.join(declared)})" if declared else ""
        return f"{self.kind.value}{head} {{ {call} }}"

    def variables(self, naming: Naming, *, key: str, also: Path = ()) -> dict[str, Any]:
        """What must be given, and what stands at `also`; ids by their kind."""
        filled = {
            name: self._filled(argument.type, (name,), naming, key, also)
            for name, argument in self.declared.args.items()
            if is_required_argument(argument) or also[:1] == (name,)
        }
        return {**filled, "here": naming(self.of)} if self.of in REACHED else filled

    def _selected(self, schema: GraphQLSchema) -> str:
        return selection(schema, get_named_type(self.declared.type), NEAR)

    def _filled(self, of: GraphQLInputType, place: Path, naming: Naming, key: str, also: Path) -> object:
        match of:
            case GraphQLNonNull():
                return self._filled(of.of_type, place, naming, key, also)
            case GraphQLList():
                return [self._filled(of.of_type, place, naming, key, also)]
            case GraphQLInputObjectType():
                return {
                    name: self._filled(each.type, (*place, name), naming, key, also)
                    for name, each in of.fields.items()
                    if is_required_input_field(each)
                    or also[: len(place) + 1] == (*place, name)
                    # What is within a conversation is looked for in one.
                    or (name == "conversation" and also)
                }
            case GraphQLScalarType(name="ID"):
                return naming(self.kind_of(place))
            case _:
                return key if place[-1] == "idempotencyKey" else _said(of, place[-1])


def calls(schema: GraphQLSchema) -> Iterator[Call]:
    """Every root field; and of other types the fields that take ids."""
    roots = {root.name: kind for kind in OperationType if (root := schema.get_root_type(kind)) is not None}
    for of in schema.type_map.values():
        if not isinstance(of, GraphQLObjectType) or is_introspection_type(of):
            continue
        for name, declared in of.fields.items():
            call = Call(roots.get(of.name, OperationType.QUERY), of.name, name, declared)
            if of.name in roots or any(call.id_places()):
                yield call


def nodes(schema: GraphQLSchema) -> set[str]:
    node = schema.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    return {each.name for each in schema.get_implementations(node).objects}


def put(variables: Mapping[str, Any], place: Path, id: str) -> dict[str, Any]:
    """The same with this id at that place."""
    name, *rest = place
    if rest:
        return {**variables, name: put(variables[name], tuple(rest), id)}
    return {**variables, name: [id] if isinstance(variables[name], list) else id}


def _id_places(place: Path, of: GraphQLInputType) -> Iterator[Path]:
    named = get_named_type(of)
    if named.name == "ID":
        yield place
    elif isinstance(named, GraphQLInputObjectType):
        for name, each in named.fields.items():
            yield from _id_places((*place, name), each.type)


def _said(of: GraphQLInputType, name: str) -> object:
    if name in SAID:
        return SAID[name]
    match of:
        case GraphQLEnumType():
            return next(iter(of.values))
        case GraphQLScalarType(name="Int"):
            return 1
        case GraphQLScalarType(name="Boolean"):
            return True
        case _:
            raise KeyError(f"say in SAID what stands in {name}")
