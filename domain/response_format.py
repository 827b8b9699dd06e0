"""What form an answer must have, and what it takes to hold it to that."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

SCHEMA_LENGTH = 16_384


class ResponseFormatType(Enum):
    TEXT = "TEXT"
    JSON_OBJECT = "JSON_OBJECT"
    JSON_SCHEMA = "JSON_SCHEMA"


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """`schema` is JSON text, of JSON_SCHEMA only."""

    type: ResponseFormatType = ResponseFormatType.TEXT
    schema: str | None = None

    @property
    def is_json(self) -> bool:
        return self.type is not ResponseFormatType.TEXT


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """`path` leads into the schema."""

    path: tuple[str, ...]
    message: str


class JsonChecker(Protocol):
    """Both end soon, whatever they are given, and hold up nobody else meanwhile. None: nothing is wrong."""

    async def schema_problem(self, schema: str) -> SchemaProblem | None: ...

    async def answer_problem(self, text: str, form: ResponseFormat) -> str | None:
        """In words for a model."""
