"""Schemas and answers, and that no one of either keeps anybody waiting."""

import asyncio
import json

import pytest
from jsonschema import Draft202012Validator

from domain.response_format import ResponseFormat, ResponseFormatType, SchemaProblem
from providers.json_schema import JsonSchemas
from providers.json_schema.schemas import ALONE, BY_NAME, IN_A_LIST, REFUSED

PERSON = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"$ref": "#/definitions/years"}, "pattern": {"enum": ["a", 1]}},
    "required": ["name"],
    "additionalProperties": False,
    "definitions": {"years": {"type": "integer", "minimum": 0}},
}
LIST = {
    "$ref": "#/$defs/n",
    "$defs": {"n": {"type": ["object", "null"], "properties": {"next": {"$ref": "#/$defs/n"}}}},
}
BOMB: dict[str, object] = {"(a+)+$": {}}
# Each checks the next one twice.
DOUBLING = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {"d40": {}}


def nested(levels: int) -> dict[str, object]:
    schema: dict[str, object] = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


async def problem_of(schema: object) -> SchemaProblem | None:
    return await JsonSchemas().schema_problem(json.dumps(schema))


async def wrong(answer: str, schema: object = None) -> str | None:
    """None: nothing."""
    kind = ResponseFormatType.JSON_OBJECT if schema is None else ResponseFormatType.JSON_SCHEMA
    return await JsonSchemas().answer_problem(
        answer, ResponseFormat(kind, None if schema is None else json.dumps(schema))
    )


@pytest.mark.parametrize(
    "schema",
    [
        {},
        PERSON,
        LIST,
        {"items": {"$ref": "#"}},
        {"$ref": "#/$defs/a%20~1b", "$defs": {"a /b": True}},
        {"properties": {"pattern": {}, "$id": {}, "$ref": {"const": {"$ref": "x", "pattern": "y"}}}},
        {"$defs": DOUBLING, "$ref": "#/$defs/d0"},
        nested(63),
    ],
)
async def test_a_schema_that_can_be_held_to_is_taken(schema: object) -> None:
    assert await problem_of(schema) is None


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ([], ()),
        (True, ()),
        ({"type": "objekt"}, ("type",)),
        ({"properties": {"age": {"minimum": "x"}}}, ("properties", "age", "minimum")),
        ({"required": [{"n": n} for n in range(1500)]}, ("required", "0")),
        (nested(65), ()),
        ({"anyOf": [{}] * 1000}, ()),
        ({"items": {"pattern": "(a+)+$"}}, ("items", "pattern")),
        ({"patternProperties": BOMB}, ("patternProperties",)),
        ({"$id": "https://example.com"}, ("$id",)),
        ({"$dynamicRef": "#x"}, ("$dynamicRef",)),
        # References that lead elsewhere, to nothing, to what was not looked at as a schema, and round and round.
        ({"$ref": "https://example.com/schema"}, ("$ref",)),
        ({"items": {"$ref": "#/$defs/x"}}, ("items", "$ref")),
        ({"$ref": "#x"}, ("$ref",)),
        ({"$ref": 5}, ("$ref",)),
        ({"$ref": "#/const", "const": {"additionalProperties": False, "patternProperties": BOMB}}, ("$ref",)),
        ({"$ref": "#/properties", "properties": {"patternProperties": BOMB}}, ("$ref",)),
        ({"$ref": "#"}, ("$ref",)),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}}, ("$defs", "a", "not", "$ref")),
    ],
)
async def test_another_is_refused_where_it_is_wrong(schema: object, path: tuple[str, ...]) -> None:
    problem = await problem_of(schema)
    assert problem is not None
    assert problem.path == path
    assert 0 < len(problem.message) <= 500


async def test_a_schema_that_is_sent_again_and_again_is_checked_once() -> None:
    schemas, good, bad = JsonSchemas(), json.dumps(PERSON), json.dumps({"type": 1})
    for _ in range(3):
        assert await schemas.schema_problem(good) is None
        assert await schemas.schema_problem(bad) is not None
    assert list(schemas._good) == [good]


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        (None, "{}"),
        (None, ' {"a": [1, null]}\n'),
        (PERSON, '{"name": "Ada", "age": 36, "pattern": 1}'),
        ({"type": "array", "uniqueItems": True}, '[1, true, "1", [1], {"a": 1}, {"a": true}]'),
        ({}, "5"),
        (LIST, '{"next":' * 50 + "null" + "}" * 50),
        ({"multipleOf": 3}, "9" * 400),
    ],
)
async def test_an_answer_that_has_its_form_is_taken(schema: object, answer: str) -> None:
    assert await wrong(answer, schema) is None


@pytest.mark.parametrize(
    ("schema", "answer", "problem"),
    [
        (None, "[]", "It is JSON, but not an object."),
        (None, "", "It is not JSON: Expecting value: line 1 column 1 (char 0)."),
        (None, '```json\n{"a": 1}\n```', "It is not JSON: Expecting value: line 1 column 1 (char 0)."),
        (None, '{"a": 1} That is all.', "It is not JSON: Extra data: line 1 column 10 (char 9)."),
        (None, '{"a": NaN}', "It is not JSON: NaN is no value of JSON."),
        (None, "[" * 100_000, "It is nested too deep."),
        (PERSON, '{"age": 36}', "$: 'name' is a required property."),
        (PERSON, '{"name": "Ada", "age": "36"}', "$.age: '36' is not of type 'integer'."),
        (
            PERSON,
            '{"name": "Ada", "x": 1}',
            "$: Additional properties are not allowed ('x' was unexpected).",
        ),
        ({"uniqueItems": True}, '[{"a": [1, 2]}, 5, {"a": [1.0, 2]}]', "$: the items are not unique."),
        ({"multipleOf": 0.5}, "9" * 400, "It has a number that is too large."),
    ],
)
async def test_another_is_not_and_the_model_is_told_why(schema: object, answer: str, problem: str) -> None:
    assert await wrong(answer, schema) == problem


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ({"$defs": DOUBLING, "$ref": "#/$defs/d0"}, "{}"),
        ({"$defs": DOUBLING, "$ref": "#/$defs/d0", "unevaluatedProperties": False}, '{"x": 1}'),
        # Of no dialect that would be left to a validator which does not count.
        ({"$schema": "http://json-schema.org/draft-07/schema#", "$defs": DOUBLING, "$ref": "#/$defs/d0"}, "{}"),
        # Each alternative's message holds the whole answer.
        ({"anyOf": [{"type": "null"}] * 900}, json.dumps(list(range(100_000)))),
        ({"items": {"$ref": "#"}, "uniqueItems": True}, "[" * 80 + ",".join(map(str, range(50_000))) + "]" * 80),
    ],
)
async def test_what_would_take_for_ever_is_given_up(schema: object, answer: str) -> None:
    assert await problem_of(schema) is None
    assert await wrong(answer, schema) == "It takes too much work to check against the schema."


async def test_others_go_on_while_a_long_answer_is_checked() -> None:
    rows = {"items": {"properties": {"n": {"type": "integer"}}, "required": ["n"]}}
    checking = asyncio.create_task(wrong(json.dumps([{"n": n} for n in range(10_000)]), rows))
    turns = 0
    while not checking.done():
        await asyncio.sleep(0)
        turns += 1
    assert await checking is None
    # On the loop it would be two or three.
    assert turns > 10


def test_every_keyword_that_holds_schemas_is_known() -> None:
    """One that a new release looks into, and we do not, could bring back what is refused."""
    looked_into = {*ALONE, *BY_NAME, *IN_A_LIST, *REFUSED}
    values = {"$ref", "const", "dependentRequired", "enum", "format", "required", "type", "uniqueItems", "multipleOf"}
    bounds = {
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maximum",
        "minimum",
        *map("max{}".format, SIZES),
        *map("min{}".format, SIZES),
    }
    assert Draft202012Validator.VALIDATORS.keys() - looked_into == values | bounds


SIZES = ("Items", "Length", "Properties")
