"""The import contracts hold, and each of them can fail."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINTER = Path(sys.executable).parent / "lint-imports"
PACKAGES = ("schema", "resolvers", "domain", "repositories", "providers", "server")

DOWN = "Imports point down"
DECLARES = "The schema declares"
STANDARD = "The domain is standard library only"
DATABASE = "Only repositories speak to the database"
CYCLES = "No cycles between concepts"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages, to plant something in."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def broken(root: Path) -> set[str]:
    """The names of the contracts that are broken there."""
    ran = subprocess.run(
        [LINTER, "--no-cache"],
        cwd=root,
        env={**os.environ, "COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.strip() for line in ran.stdout.splitlines()]
    names = {line.removesuffix(" BROKEN") for line in lines if line.endswith(" BROKEN")}
    kept = {line.removesuffix(" KEPT") for line in lines if line.endswith(" KEPT")}
    assert names | kept == set(contracts()), ran.stdout + ran.stderr
    assert ran.returncode == bool(names)
    return names


def contracts() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]


@pytest.mark.parametrize(
    ("contract", "file", "planted"),
    [
        (DOWN, "domain/planted.py", "import resolvers.context"),
        (DOWN, "resolvers/planted.py", "import schema.node"),
        (DOWN, "resolvers/planted.py", "import repositories.database"),
        (DOWN, "repositories/planted.py", "import providers.text"),
        (DOWN, "schema/planted.py", "import server.settings"),
        (DECLARES, "schema/planted.py", "import repositories.database"),
        (DECLARES, "schema/planted.py", "import providers.text"),
        (STANDARD, "domain/planted.py", "import strawberry"),
        (STANDARD, "domain/planted.py", "def late() -> None:\n    import asyncpg"),
        (DATABASE, "server/planted.py", "import asyncpg"),
        (DATABASE, "providers/planted.py", "from tortoise import Model"),
        (CYCLES, "domain/message.py", "import domain.conversation.entity"),
        (CYCLES, "resolvers/node.py", "import resolvers.message"),
    ],
)
def test_a_planted_import_breaks_its_contract(copy: Path, contract: str, file: str, planted: str) -> None:
    with (copy / file).open("a") as target:
        target.write(f"\n{planted}\n")
    assert any(name.startswith(contract) for name in broken(copy))


def test_the_contracts_hold_and_each_has_a_planted_import(copy: Path) -> None:
    assert broken(copy) == set()
    tried = (DOWN, DECLARES, STANDARD, DATABASE, CYCLES)
    assert [name for name in contracts() if not name.startswith(tried)] == []
