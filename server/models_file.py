"""The TOML file that GUS_MODELS names: model servers, and the models on offer there."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from domain.model import Model, ModelCapability, ModelKey
from providers.counting import Counting
from providers.openai import OLLAMA, OPENAI, ServerConfig
from server.settings import BadSettings
from server.tables_file import Key, Name, Table, read_tables

HIGHEST_PRICE = Decimal(10_000)
LARGEST_CONTEXT = 100_000_000
MOST_FALLBACKS = 5
MOST_CONCURRENCY = 100_000


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The first model that is not retired is the default."""

    models: tuple[Model, ...]
    servers: tuple[ServerConfig, ...]


def read_catalogue(file: Path, environ: Mapping[str, str] = os.environ) -> Catalogue:
    """Raises BadSettings with every problem, each with file, table and key."""
    tables = read_tables(file, _Tables, setting="GUS_MODELS")
    if problems := [*_reference_problems(tables), *_secret_problems(tables, environ)]:
        raise BadSettings(f"{file}: {problem}" for problem in problems)
    return Catalogue(
        models=tuple(_to_model(table) for table in tables.models),
        servers=tuple(_to_server(table, environ) for table in tables.servers),
    )


def _checked_price(given: object) -> Decimal:
    # TOML's `nan` is a float too, and compares as neither too low nor too high.
    if isinstance(given, bool) or not isinstance(given, int | Decimal):
        raise ValueError("must be a number of US dollars, as 0.15")
    price = Decimal(given)
    if not price.is_finite() or not 0 <= price <= HIGHEST_PRICE:
        raise ValueError(f"must be from 0 to {HIGHEST_PRICE} US dollars for a million tokens")
    return price


def _checked_seconds(given: object) -> timedelta:
    if isinstance(given, bool) or not isinstance(given, int | Decimal):
        raise ValueError("must be a number of seconds, as 2.5")
    seconds = Decimal(given)
    if not seconds.is_finite() or not Decimal("0.01") <= seconds <= 3600:
        raise ValueError("must be from 0.01 to 3600 seconds")
    return timedelta(seconds=float(seconds))


Seconds = Annotated[timedelta, BeforeValidator(_checked_seconds)]
Price = Annotated[Decimal, BeforeValidator(_checked_price)]
Capability = Literal["STREAMING", "JSON_SCHEMA", "CONTINUE", "REASONING"]


class _ServerTable(Table):
    name: Key
    base_url: str
    kind: Literal["openai", "llama.cpp", "vllm", "ollama"] = "openai"
    api_key_env: Annotated[str, Field(pattern=re.compile(r"^[A-Za-z_][A-Za-z0-9_]*\Z"))] | None = None
    connect_timeout_seconds: Seconds | None = None
    first_token_timeout_seconds: Seconds | None = None
    between_tokens_timeout_seconds: Seconds | None = None
    max_connections: Annotated[int, Field(ge=1, le=10_000)] | None = None

    @field_validator("base_url")
    @classmethod
    def _a_web_address(cls, url: str) -> str:
        if not _is_a_base_url(url):
            raise ValueError("must be the address before /chat/completions, as http://127.0.0.1:8080/v1")
        return url.rstrip("/")


class _ModelTable(Table):
    key: Key
    server: Key
    name: Name | None = None
    display_name: Name | None = None
    context_window: Annotated[int, Field(ge=256, le=LARGEST_CONTEXT)]
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    capabilities: tuple[Capability, ...] = Field(default=("STREAMING",), strict=False)
    input_price_per_million: Price
    output_price_per_million: Price
    retired: bool = False
    fallbacks: Annotated[tuple[Key, ...], Field(strict=False, max_length=MOST_FALLBACKS)] = ()
    max_concurrency: Annotated[int, Field(ge=1, le=MOST_CONCURRENCY)] | None = None

    @model_validator(mode="after")
    def _output_fits(self) -> "_ModelTable":
        if self.max_output_tokens is not None and self.max_output_tokens >= self.context_window:
            raise ValueError("max_output_tokens must be smaller than context_window: the question needs room too")
        return self


class _Tables(Table):
    servers: Annotated[tuple[_ServerTable, ...], Field(strict=False)]
    models: Annotated[tuple[_ModelTable, ...], Field(strict=False)]

    @field_validator("servers", "models")
    @classmethod
    def _not_empty(cls, tables: tuple[Table, ...]) -> tuple[Table, ...]:
        if not tables:
            raise ValueError("at least one is needed")
        return tables


def _reference_problems(tables: _Tables) -> Iterable[str]:
    servers = [server.name for server in tables.servers]
    yield from (f"[[servers]]: name: {name!r} is there twice" for name in _repeated(servers))
    yield from (f"[[models]]: key: {key!r} is there twice" for key in _repeated(model.key for model in tables.models))
    for number, model in enumerate(tables.models, start=1):
        if model.server not in servers:
            yield f"[[models]] {number} ({model.key}): server: there is no server {model.server!r}, only {', '.join(servers)}"
        yield from (
            f"[[models]] {number} ({model.key}): fallbacks: {words}" for words in _fallback_problems(model, tables)
        )
    if all(model.retired for model in tables.models):
        yield "[[models]]: retired: at least one model must not be"


def _fallback_problems(model: _ModelTable, tables: _Tables) -> Iterable[str]:
    keys = [other.key for other in tables.models]
    yield from (f"{key!r} is there twice" for key in _repeated(model.fallbacks))
    yield from (f"there is no model {key!r}, only {', '.join(keys)}" for key in model.fallbacks if key not in keys)
    if model.key in model.fallbacks:
        yield f"{model.key!r} is the model itself, which has been asked by then"


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def _secret_problems(tables: _Tables, environ: Mapping[str, str]) -> Iterable[str]:
    for number, server in enumerate(tables.servers, start=1):
        if server.api_key_env is not None and not environ.get(server.api_key_env):
            yield f"[[servers]] {number} ({server.name}): api_key_env: the environment variable {server.api_key_env} is not set"


def _is_a_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or "@" in parts.netloc or set(url) & set(" \t\n\r"))
    return (
        parts.scheme in ("http", "https") and bool(parts.hostname) and plain and not url.endswith("/chat/completions")
    )


_COUNTING = {"llama.cpp": Counting.LLAMA_CPP, "vllm": Counting.VLLM}


def _to_server(table: _ServerTable, environ: Mapping[str, str]) -> ServerConfig:
    usual = ServerConfig(table.name, table.base_url)
    return ServerConfig(
        table.name,
        table.base_url,
        api_key=environ[table.api_key_env] if table.api_key_env else None,
        connect_timeout=table.connect_timeout_seconds or usual.connect_timeout,
        first_token_timeout=table.first_token_timeout_seconds or usual.first_token_timeout,
        between_tokens_timeout=table.between_tokens_timeout_seconds or usual.between_tokens_timeout,
        max_connections=table.max_connections or usual.max_connections,
        counts=_COUNTING.get(table.kind),
        dialect=OLLAMA if table.kind == "ollama" else OPENAI,
    )


def _to_model(table: _ModelTable) -> Model:
    return Model(
        key=ModelKey(table.key),
        provider=table.server,
        name_at_provider=table.name or table.key,
        display_name=table.display_name or table.key,
        context_window=table.context_window,
        max_output_tokens=table.max_output_tokens,
        capabilities=frozenset(ModelCapability[name] for name in table.capabilities),
        input_price_per_million=table.input_price_per_million,
        output_price_per_million=table.output_price_per_million,
        retired=table.retired,
        fallbacks=tuple(map(ModelKey, table.fallbacks)),
        max_concurrency=table.max_concurrency,
    )
