"""A validator that counts what it does, so that no schema and no answer, however they are made, keep it busy for long."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, cast

import attrs
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

# About a second of it. An answer of 260,000 characters, 5,000 objects, takes a quarter.
MOST_WORK = 1_000_000
EACH_KEYWORD = 5
# Messages hold the whole of what they find fault with: of a long answer a few thousand of them would fill the memory.
UNITS_OF_MESSAGES = 20

Keyword = Callable[[Any, Any, Any, Any], Iterable[ValidationError] | None]


class TooMuchWork(Exception):
    pass


class Work:
    """What is left of it."""

    def __init__(self) -> None:
        self._left = MOST_WORK

    def spend(self, amount: int) -> None:
        """Raises TooMuchWork."""
        self._left -= amount
        if self._left < 0:
            raise TooMuchWork


def counting(work: Work) -> Callable[..., Any]:
    """As `Draft202012Validator`; may raise TooMuchWork."""
    usual: dict[str, Keyword] = dict(Draft202012Validator.VALIDATORS)
    counted = {name: _paid(keyword, work) for name, keyword in usual.items()}
    made: Any = extend(Draft202012Validator, counted | {"uniqueItems": _unique_items(work)})
    # The library's own leaves a schema with `$schema` to a validator of that dialect, which does not count.
    made.evolve = attrs.evolve
    return cast(Callable[..., Any], made)


def _paid(keyword: Keyword, work: Work) -> Keyword:
    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        work.spend(EACH_KEYWORD + _size(value) + _size(instance))
        for error in keyword(validator, value, instance, schema) or ():
            work.spend(len(error.message) // UNITS_OF_MESSAGES)
            yield error

    return check


def _size(value: object) -> int:
    return len(value) if isinstance(value, dict | list) else 0


def _unique_items(work: Work) -> Keyword:
    """The library's own compares each with each where they cannot be sorted."""

    def check(validator: Any, unique: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if not unique or not isinstance(instance, list):
            return
        if len({_hashable(item, work) for item in instance}) < len(instance):
            yield ValidationError("the items are not unique")

    return check


def _hashable(value: object, work: Work) -> Hashable:
    """Equal for what JSON Schema calls equal: 1 and 1.0 are, 1 and true are not."""
    work.spend(1)
    match value:
        case bool():
            return ("bool", value)
        case dict():
            return frozenset((name, _hashable(item, work)) for name, item in value.items())
        case list():
            return tuple(_hashable(item, work) for item in value)
        case _:
            assert isinstance(value, Hashable)
            return value
