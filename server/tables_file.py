"""TOML files of tables: read, checked by pydantic, and every problem told with file, table and key."""

import re
import tomllib
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.settings import BadSettings

PLAINER = {
    "extra_forbidden": "there is no such key",
    "missing": "is missing",
    "model_type": "must be a table",
    "tuple_type": "must be a list; a list of tables is written with two brackets",
}

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=re.compile(r"^\S(.*\S)?\Z"))]
Key = Annotated[str, Field(max_length=100, pattern=re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:/-]*\Z"))]


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


T = TypeVar("T", bound=Table)


def read_tables(file: Path, tables: type[T], *, setting: str) -> T:
    """Raises BadSettings."""
    return parsed_tables(text_of(file, setting=setting), str(file), tables)


def text_of(file: Path, *, setting: str) -> str:
    """Raises BadSettings."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadSettings([f"{setting}: cannot read {file}: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise BadSettings([f"{file}: is no TOML: {error}"]) from None


def parsed_tables(text: str, source: str, tables: type[T]) -> T:
    """`source`: what the text is called where it is wrong. Raises BadSettings."""
    document = _document(text, source)
    try:
        return tables.model_validate(document)
    except ValidationError as error:
        raise BadSettings(f"{source}: {problem}" for problem in _problems(error, document)) from None


def _document(text: str, source: str) -> dict[str, object]:
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, ArithmeticError) as error:
        raise BadSettings([f"{source}: is no TOML: {error}"]) from None


def _problems(error: ValidationError, document: dict[str, object]) -> Iterable[str]:
    for problem in error.errors(include_url=False, include_context=False):
        table, *place = problem["loc"] or ("",)
        words = PLAINER.get(problem["type"], problem["msg"].removeprefix("Value error, "))
        keys = [str(part) for part in place[1:]]
        yield ": ".join(
            [_table_name(str(table), place[0] if place else None, document), *keys, words[:1].lower() + words[1:]]
        )


def _table_name(table: str, index: object, document: dict[str, object]) -> str:
    """As `[[models]] 2 (llama-3)`: by number and by what the table calls itself."""
    tables = document.get(table)
    if not isinstance(index, int) or not isinstance(tables, list):
        return f"[[{table}]]"
    content = tables[index] if isinstance(tables[index], dict) else {}
    name = content.get("key", content.get("name"))
    return f"[[{table}]] {index + 1}" + (f" ({name})" if isinstance(name, str) else "")
