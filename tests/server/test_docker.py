"""No engine runs here, so that at least what the files say about each other is true."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.models_file import read_catalogue
from server.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
COMPOSE = (ROOT / "docker" / "compose.yaml").read_text()
SETTINGS = {f"GUS_{name.upper()}" for name in Settings.model_fields}


@pytest.fixture
def services() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
    return services


def copied() -> list[str]:
    return re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.MULTILINE)


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert copied() == [name for name in copied() if (ROOT / name).exists() and f"!{name}" in ignored]


def test_every_package_is_copied() -> None:
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages - set(copied()) == set()


def test_the_image_is_no_root_and_knows_when_it_is_ready() -> None:
    assert re.search(r"^USER [1-9]\d*$", DOCKERFILE, re.MULTILINE)
    assert "/health/ready" in DOCKERFILE.split("HEALTHCHECK", 1)[1]


@pytest.mark.parametrize("text", [DOCKERFILE, COMPOSE])
def test_every_setting_named_exists(text: str) -> None:
    assert set(re.findall(r"\bGUS_[A-Z_]+", text)) - SETTINGS == set()


def test_no_secret_has_a_default() -> None:
    given = re.findall(r"\$\{(\w*(?:SECRET|PASSWORD)\w*)(..)", COMPOSE)
    assert {after for _, after in given} == {":?"}
    assert {name for name, _ in given} == {"GUS_SECRET_KEY", "POSTGRES_PASSWORD"}


def test_services_wait_for_services_that_exist_and_can_tell(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, wait in service.get("depends_on", {}).items():
            assert name in services
            assert wait["condition"] != "service_healthy" or "healthcheck" in services[name]


def test_the_models_file_names_the_model_server_of_the_composition(services: dict[str, Any]) -> None:
    catalogue = read_catalogue(ROOT / "docker" / "models.toml", {})
    assert [server.base_url for server in catalogue.servers] == ["http://llama:8080/v1"]
    assert f"--alias {catalogue.models[0].name_at_provider} " in services["llama"]["command"]
