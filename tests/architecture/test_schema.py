"""The contract: its text, its words, and its rules for those who write fragments."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    is_introspection_type,
    is_specified_scalar_type,
)
from strawberry.types.base import StrawberryObjectDefinition, StrawberryOptional

import schema
from domain import errors
from domain.page import Edge, Page, PageInfo
from schema.refusals import TYPES
from tests.architecture.refusals import EXAMPLES

ROOTS = {"Query", "Mutation", "Subscription"}
# Generic, so declared for no entity: what they are given is always of these.
PAGING = {"PageInfo": PageInfo, "Edge": Edge, "Connection": Page}

BUILT = schema.build()
SDL: GraphQLSchema = BUILT._schema


def own_types() -> list[GraphQLNamedType]:
    return [
        named
        for named in SDL.type_map.values()
        if not is_introspection_type(named) and not is_specified_scalar_type(named)
    ]


def objects() -> list[GraphQLObjectType]:
    return [named for named in own_types() if isinstance(named, GraphQLObjectType)]


def unions() -> list[GraphQLUnionType]:
    return [named for named in own_types() if isinstance(named, GraphQLUnionType)]


def implementers(interface: str) -> list[GraphQLObjectType]:
    named = SDL.type_map[interface]
    assert isinstance(named, GraphQLInterfaceType)
    return list(SDL.get_implementations(named).objects)


def successes() -> list[GraphQLObjectType]:
    refusals = implementers("Refusal")
    return [member for union in unions() for member in union.types if member not in refusals]


def test_the_checked_in_contract_is_what_is_served() -> None:
    checked_in = Path(schema.__file__).with_name("schema.graphql").read_text()
    assert checked_in == schema.printed(), "Write it anew: gus schema > schema/schema.graphql"


def test_everything_is_described() -> None:
    assert [place for place, description in descriptions() if not (description or "").strip()] == []


def descriptions() -> Iterator[tuple[str, str | None]]:
    for named in own_types():
        yield named.name, named.description
        if isinstance(named, GraphQLEnumType):
            yield from ((f"{named.name}.{name}", value.description) for name, value in named.values.items())
        elif isinstance(named, GraphQLInputObjectType):
            yield from ((f"{named.name}.{name}", field.description) for name, field in named.fields.items())
        elif isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in named.fields.items():
                yield f"{named.name}.{name}", field.description
                # An argument that takes an input type whole has that type's description.
                arguments = ((each, given) for each, given in field.args.items() if each != "input")
                yield from ((f"{named.name}.{name}({each}:)", given.description) for each, given in arguments)


def test_every_scalar_names_the_document_that_says_how_it_is_written() -> None:
    urls = {named.name: named.specified_by_url or "" for named in own_types() if isinstance(named, GraphQLScalarType)}
    assert set(urls) == {"DateTime", "Decimal", "JSON", "Long"}
    publishers = ("https://scalars.graphql.org/", "https://www.rfc-editor.org/rfc/rfc", "https://www.w3.org/TR/")
    assert [name for name, url in urls.items() if not url.startswith(publishers)] == []


def test_every_field_without_a_resolver_is_an_attribute_of_its_entity() -> None:
    unknown = [place for place, entity, name, _ in attributes() if name not in attributes_of(entity)]
    assert unknown == []


def test_what_may_be_none_in_an_entity_is_nullable_in_the_contract() -> None:
    promised = [
        place
        for place, entity, name, nullable in attributes()
        if name in attributes_of(entity) and may_be_none(attributes_of(entity)[name]) and not nullable
    ]
    assert promised == []


def attributes() -> Iterator[tuple[str, type, str, bool]]:
    """Where, the entity, the attribute's name, whether the field is nullable."""
    for definition in definitions():
        entity = entity_of(definition)
        for field in definition.fields:
            if field.base_resolver is None:
                nullable = isinstance(field.type, StrawberryOptional)
                yield f"{definition.name}.{field.name}", entity, field.python_name, nullable


def definitions() -> list[StrawberryObjectDefinition]:
    found = (entry.definition for entry in BUILT.schema_converter.type_map.values())
    kept = (each for each in found if isinstance(each, StrawberryObjectDefinition))
    return [each for each in kept if not each.is_input and not each.is_interface and each.name not in ROOTS]


def entity_of(definition: StrawberryObjectDefinition) -> type:
    paging = (entity for name, entity in PAGING.items() if definition.name.endswith(name))
    entity: type | None = getattr(definition.origin, "__entity__", None) or next(paging, None)
    assert entity is not None, f"{definition.name} is declared for no entity"
    return entity


def attributes_of(entity: type) -> dict[str, object]:
    """With their types; of refusals, which are no dataclasses, with those of an example."""
    if issubclass(entity, errors.Refusal):
        example = EXAMPLES[entity]
        return {name: type(getattr(example, name)) for name in dir(example)}
    properties = {
        name: get_type_hints(found.fget).get("return")
        for name, found in vars(entity).items()
        if isinstance(found, property) and found.fget
    }
    assert dataclasses.is_dataclass(entity)
    return get_type_hints(entity) | properties


def may_be_none(hint: Any) -> bool:
    return hint is NoneType or (get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint))


def test_one_field_name_has_one_type_wherever_fragments_meet() -> None:
    """The overlap rule compares nullability too: a shared `on Refusal` fragment would break beside such a field."""
    refusals = implementers("Refusal")
    meetings = [
        itertools.combinations(refusals, 2),
        itertools.product(refusals, successes()),
        itertools.combinations(implementers("GenerationEvent"), 2),
        *(itertools.combinations(union.types, 2) for union in unions()),
    ]
    assert list(itertools.chain.from_iterable(map(conflicts, meetings))) == []


def conflicts(pairs: Iterable[tuple[GraphQLObjectType, ...]]) -> Iterator[str]:
    for one, other in pairs:
        for name in one.fields.keys() & other.fields.keys():
            if str(one.fields[name].type) != str(other.fields[name].type):
                yield f"{one.name}.{name} and {other.name}.{name}"


def test_every_refusal_has_a_type_of_its_name_a_code_of_its_own_and_a_union_that_can_meet_it() -> None:
    refusals = set(errors.Refusal.__subclasses__())
    assert set(TYPES) == refusals == set(EXAMPLES)
    named = {refusal.__name__ for refusal in refusals}
    assert {implementer.name for implementer in implementers("Refusal")} == named
    assert {refusal.code for refusal in refusals} == set(errors.RefusalCode)
    assert len({refusal.code for refusal in refusals}) == len(refusals)
    assert named <= {member.name for union in unions() for member in union.types}


@pytest.mark.parametrize("mutation", sorted(SDL.mutation_type.fields) if SDL.mutation_type else [])
def test_a_mutation_answers_with_a_union_of_one_success_and_refusals(mutation: str) -> None:
    assert SDL.mutation_type is not None
    answer = SDL.mutation_type.fields[mutation].type
    assert isinstance(answer, GraphQLNonNull)
    union = answer.of_type
    assert isinstance(union, GraphQLUnionType)
    assert union.name == f"{mutation[0].upper()}{mutation[1:]}Result"
    refusals = {refusal.name for refusal in implementers("Refusal")}
    assert [member.name.endswith("Success") for member in union.types if member.name not in refusals] == [True]


def test_nobody_can_say_a_role() -> None:
    inputs = [named for named in own_types() if isinstance(named, GraphQLInputObjectType)]
    assert [named.name for named in inputs if "role" in named.fields] == []


def test_every_list_of_a_field_is_a_page_or_says_its_cap() -> None:
    unbounded = [
        f"{named.name}.{name}"
        for named in objects()
        for name, field in named.fields.items()
        if "[" in str(field.type) and not named.name.endswith("Connection") and not capped(field.description)
    ]
    # Bounded by an argument, by a closed set, or by how deep an input can be.
    bounded = {"GenerationEventPage.events", "Query.nodes", "Model.capabilities", "InputProblem.path", "NotFound.path"}
    assert set(unbounded) - bounded == set()


def capped(description: str | None) -> bool:
    return "at most" in (description or "").lower()
