"""How the domain's enums come to be described, each value for those who switch over it."""

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition


def describe(enum: type[Enum], description: str, values: Mapping[str, str]) -> None:
    strawberry.enum(enum, description=description)
    definition: StrawberryEnumDefinition = enum.__strawberry_definition__  # type: ignore[attr-defined]  # set by the line above
    definition.values = [replace(value, description=values[value.name]) for value in definition.values]
