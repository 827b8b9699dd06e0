"""Answers held to JSON, and to JSON schemas that users wrote: whatever those say, checking them ends soon.

Nothing is fetched: references lead into the schema itself. Regular expressions, which can take for ever, are refused.
All else is counted while it is done, by the size of what it looks at, and given up when it has become too much.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from domain.response_format import SCHEMA_LENGTH, ResponseFormat, ResponseFormatType
from domain.text import cut, units

DEEPEST_SCHEMA = 32
MOST_WORK = 200_000
LONGEST_PROBLEM = 500

# Keywords that find what they refer to by more than a path into the schema, or take for ever.
REFUSED = frozenset(
    {"pattern", "patternProperties", "$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$vocabulary"}
)
_SCHEMAS_BY_NAME = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
_PLAIN_VALUES = frozenset({"const", "enum", "default", "examples"})


class TooMuchWork(Exception):
    pass


class Work:
    """What is left of it."""

    def __init__(self) -> None:
        self._left = MOST_WORK

    def spend(self, *looked_at: object) -> None:
        """Raises TooMuchWork."""
        self._left -= 1 + sum(len(each) for each in looked_at if isinstance(each, dict | list))
        if self._left < 0:
            raise TooMuchWork


class JsonSchemas:
    """Satisfies `domain.response_format.JsonChecker`."""

    def schema_problem(self, schema: str) -> str | None:
        if units(schema) > SCHEMA_LENGTH:
            return f"At most {SCHEMA_LENGTH} UTF-16 code units, written as JSON."
        try:
            parsed = json.loads(schema)
            if not isinstance(parsed, dict):
                return "A schema is a JSON object."
            if problem := next(_refused(parsed, DEEPEST_SCHEMA), None):
                return problem
            Draft202012Validator.check_schema(parsed)
        except SchemaError as error:
            return _shortened(f"{error.json_path}: {error.message}")
        except RecursionError:
            return f"It is nested more than {DEEPEST_SCHEMA} deep."
        return None

    async def answer_problem(self, text: str, form: ResponseFormat) -> str | None:
        """In a thread, so that a long one does not hold up everybody's streams."""
        return await asyncio.to_thread(_answer_problem, text, form) if form.is_json else None


def _answer_problem(text: str, form: ResponseFormat) -> str | None:
    try:
        answer = json.loads(text, parse_constant=_not_json)
        if form.type is ResponseFormatType.JSON_OBJECT:
            return None if isinstance(answer, dict) else "It is no JSON object."
        assert form.schema is not None
        return _first_error(answer, json.loads(form.schema))
    except ValueError as error:
        return _shortened(f"It is no JSON: {error}")
    except RecursionError:
        return "It is nested too deep."
    except TooMuchWork:
        return "It takes too much work to check against the schema."


def _first_error(answer: object, schema: object) -> str | None:
    """Raises TooMuchWork, RecursionError."""
    validator = _counting(Work())(schema, registry=Registry())
    try:
        error = next(iter(validator.iter_errors(answer)), None)
    except Unresolvable:
        return "The schema refers to what it does not hold."
    return _shortened(f"{error.json_path}: {error.message}") if error else None


Keyword = Callable[[Validator, Any, Any, Any], Iterable[ValidationError] | None]


def _counting(work: Work) -> Callable[..., Validator]:
    """Every keyword is paid for before it is looked at; what is refused is not looked at, wherever a reference finds it."""
    usual: dict[str, Keyword] = dict(Draft202012Validator.VALIDATORS) | {"uniqueItems": _unique_items}
    counted = {name: _never if name in REFUSED else _paid(keyword, work) for name, keyword in usual.items()}
    made: Callable[..., Validator] = extend(Draft202012Validator, counted)
    return made


def _paid(keyword: Keyword, work: Work) -> Keyword:
    def check(validator: Validator, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        work.spend(value, instance)
        yield from keyword(validator, value, instance, schema) or ()

    return check


def _never(validator: Validator, value: Any, instance: Any, schema: Any) -> None:
    return None


def _unique_items(validator: Validator, unique: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """By what they are written as: the library's own compares each with each."""
    if unique and validator.is_type(instance, "array"):
        written = {json.dumps(item, sort_keys=True) for item in instance}
        if len(written) < len(instance):
            yield ValidationError("the items are not unique")


def _refused(schema: object, depth: int) -> Iterator[str]:
    """Why a schema is not taken, without looking into what is a plain value in it."""
    if depth == 0:
        yield f"It is nested more than {DEEPEST_SCHEMA} deep."
        return
    children: Iterable[object] = schema if isinstance(schema, list) else ()
    if isinstance(schema, dict):
        yield from (f"{name!r} is not supported." for name in sorted(REFUSED & schema.keys()))
        if not str(schema.get("$ref", "#")).startswith("#"):
            yield "A '$ref' leads into the schema itself: it begins with '#'."
        children = [
            child
            for name, value in schema.items()
            if name not in _PLAIN_VALUES
            for child in (value.values() if name in _SCHEMAS_BY_NAME and isinstance(value, dict) else [value])
        ]
    for child in children:
        yield from _refused(child, depth - 1)


def _not_json(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON value")


def _shortened(problem: str) -> str:
    return cut(problem, LONGEST_PROBLEM)
