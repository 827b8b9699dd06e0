"""Whether a JSON schema that a user wrote is one that answers can be held to.

Nothing is fetched: references lead to schemas in the schema itself. Regular expressions, which can take for ever, are
refused, wherever they stand. It is read as JSON Schema 2020-12, whatever `$schema` says.
"""

import json
from collections.abc import Iterator
from urllib.parse import unquote

from jsonschema import Draft202012Validator

from domain.response_format import SchemaProblem
from domain.text import cut
from providers.json_schema.work import TooMuchWork, Work, counting

DEEPEST = 64
MOST_SCHEMAS = 1000
LONGEST_PROBLEM = 500

_NO_PATTERNS = "regular expressions are not supported: they could take for ever"
_NO_NAMES = "schemas have no names here: write {'$ref': '#/$defs/...'} to use one again"
REFUSED = {
    "pattern": _NO_PATTERNS,
    "patternProperties": _NO_PATTERNS,
    **dict.fromkeys(("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$vocabulary"), _NO_NAMES),
}

# Where the keywords of JSON Schema 2020-12 hold schemas. What is in any other is a plain value.
BY_NAME = ("$defs", "definitions", "dependentSchemas", "properties")
IN_A_LIST = ("allOf", "anyOf", "oneOf", "prefixItems")
ALONE = (
    *("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"),
    *("unevaluatedItems", "unevaluatedProperties"),
)
# Of these, what is checked against the very value that their schema is checked against.
_IN_PLACE = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"})

Path = tuple[str, ...]


class Refused(Exception):
    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.problem = SchemaProblem(path, cut(message, LONGEST_PROBLEM))


def schema_problem(text: str) -> SchemaProblem | None:
    schema = json.loads(text)
    try:
        _check(schema)
    except Refused as refused:
        return refused.problem
    except TooMuchWork:
        return SchemaProblem((), "It takes too much work to check: make it simpler.")
    return None


def _check(schema: object) -> None:
    """Raises Refused, TooMuchWork."""
    if not isinstance(schema, dict):
        raise Refused((), "A schema is a JSON object.")
    if _is_deeper(schema, DEEPEST):
        raise Refused((), f"It is nested more than {DEEPEST} deep.")
    schemas: dict[Path, dict[str, object]] = {}
    for path, each in _schemas(schema, ()):
        schemas[path] = each
        if len(schemas) > MOST_SCHEMAS:
            raise Refused((), f"It has more than {MOST_SCHEMAS} schemas in it.")
    for path, each in schemas.items():
        _check_keywords(each, path, schemas)
    for error in counting(Work())(Draft202012Validator.META_SCHEMA).iter_errors(schema):
        raise Refused(tuple(map(str, error.absolute_path)), error.message)
    _check_ends(schemas)


def _is_deeper(value: object, depth: int) -> bool:
    level = [value]
    while level and depth >= 0:
        children = [
            each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)
        ]
        level = [child for each in children for child in each]
        depth -= 1
    return bool(level)


def _schemas(schema: object, path: Path) -> Iterator[tuple[Path, dict[str, object]]]:
    """Each schema in it, itself first, whatever shape their keywords have."""
    if isinstance(schema, bool):
        yield path, {}
    elif isinstance(schema, dict):
        yield path, schema
        for below, child in _children(schema):
            yield from _schemas(child, (*path, *below))


def _children(schema: dict[str, object]) -> Iterator[tuple[Path, object]]:
    for keyword, value in schema.items():
        if keyword in BY_NAME and isinstance(value, dict):
            yield from (((keyword, name), child) for name, child in value.items())
        elif keyword in IN_A_LIST and isinstance(value, list):
            yield from (((keyword, str(index)), child) for index, child in enumerate(value))
        elif keyword in ALONE:
            yield (keyword,), value


def _check_keywords(schema: dict[str, object], path: Path, schemas: dict[Path, dict[str, object]]) -> None:
    """Raises Refused."""
    for name in schema:
        if name in REFUSED:
            raise Refused((*path, name), f"{name}: {REFUSED[name]}.")
    if "$ref" in schema and _target(schema["$ref"]) not in schemas:
        raise Refused(
            (*path, "$ref"), "$ref: there is no such schema in this one; '#/$defs/...' leads to those in '$defs'."
        )


def _target(reference: object) -> Path | None:
    """None: it does not lead into the schema itself."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    first, *names = unquote(reference[1:]).split("/")
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in names) if not first else None


def _check_ends(schemas: dict[Path, dict[str, object]]) -> None:
    """A schema that refers to itself for the same value is never done with it. Raises Refused."""
    done: set[Path] = set()
    for start in schemas:
        trail: dict[Path, Iterator[Path]] = {start: _in_place(start, schemas)}
        while trail:
            path = next(reversed(trail))
            step = next((each for each in trail[path] if each not in done), None)
            if step in trail:
                raise Refused((*path, "$ref"), "$ref: it leads back to this schema for the same value, without an end.")
            if step is not None:
                trail[step] = _in_place(step, schemas)
            else:
                trail.pop(path)
                done.add(path)


def _in_place(path: Path, schemas: dict[Path, dict[str, object]]) -> Iterator[Path]:
    """The schemas that are checked against the same value as this one."""
    schema = schemas[path]
    if "$ref" in schema and (target := _target(schema["$ref"])) is not None:
        yield target
    for below, _ in _children(schema):
        if below[0] in _IN_PLACE and (*path, *below) in schemas:
            yield (*path, *below)
