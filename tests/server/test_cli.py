import os
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from packaging.requirements import Requirement

from schema import printed
from server.__main__ import main
from server.doctor import examine
from server.serve import locked
from tests.model_server import ModelServer

ROOT = Path(__file__).parents[2]
GOOD_SECRET = "k7Qx-2mVw_9TzLr4Hs8NbYc1DgFp6JeA"


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Gus = Callable[..., Said]


@pytest.fixture
def gus(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Gus:
    """The command line with these arguments, and settings without their prefix."""
    for name in [name for name in os.environ if name.startswith("GUS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GUS_DATA_DIR", str(tmp_path))

    def run(*arguments: str, **settings: str) -> Said:
        for name, value in settings.items():
            monkeypatch.setenv(f"GUS_{name}", value)
        monkeypatch.setattr(sys, "argv", ["gus", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        assert isinstance(code, int)
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture
def taken_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield str(other.getsockname()[1])


@pytest.fixture
def models(tmp_path: Path) -> Callable[[str], str]:
    def write(base_url: str) -> str:
        file = tmp_path / "models.toml"
        file.write_text(
            f'[[servers]]\nname = "s"\nbase_url = "{base_url}"\n[[models]]\nkey = "scripted"\nserver = "s"\ncontext_window = 8192\n'
            "input_price_per_million = 0\noutput_price_per_million = 0\n"
        )
        return str(file)

    return write


def test_wrong_settings_end_every_command_with_2_and_no_traceback(tmp_path: Path) -> None:
    environ = os.environ | {"GUS_PORT": "http", "GUS_PROT": "1", "GUS_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "server", "serve"], cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(":")[0].strip() for line in done.stderr.splitlines()[1:]] == ["GUS_PROT", "GUS_PORT"]


@pytest.mark.parametrize("workers", ["0", "65", "many"])
def test_a_number_of_workers_that_cannot_be_is_refused(gus: Gus, workers: str) -> None:
    asked, set_ = gus("serve", "--workers", workers), gus("serve", WORKERS=workers)
    assert (asked.code, "--workers" in asked.err) == (2, True)
    assert (set_.code, "GUS_WORKERS" in set_.err) == (2, True)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use_is_refused_before_anything_is_started(
    gus: Gus, taken_port: str, tmp_path: Path, workers: str
) -> None:
    said = gus("serve", "--workers", workers, PORT=taken_port)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"gus cannot listen on 127.0.0.1:{taken_port} (")
    assert not (tmp_path / "postgres").exists()


def test_a_data_directory_in_use_is_refused(gus: Gus, tmp_path: Path) -> None:
    with locked(tmp_path):
        said = gus("serve", PORT="0")
    assert said.code == 1
    assert said.err.startswith(f"Another gus (process {os.getpid()}) uses the data directory {tmp_path}: ")


def test_a_database_that_does_not_answer_is_named_without_its_password(gus: Gus, taken_port: str) -> None:
    said = gus("migrate", DATABASE_URL=f"postgresql://gus:hunter22@127.0.0.1:1{taken_port[1:]}/gus")
    assert said.code == 1
    assert f"127.0.0.1:1{taken_port[1:]}/gus does not answer" in said.err
    assert "hunter22" not in said.err


def test_migrate_applies_what_is_missing_and_then_nothing(gus: Gus, empty_database_url: str) -> None:
    first, second = gus("migrate", DATABASE_URL=empty_database_url), gus("migrate")
    assert (first.code, second.code) == (0, 0)
    assert first.lines[0].startswith("applied 0001")
    assert second.lines == ["The schema is up to date."]


def test_production_does_not_start_on_a_schema_that_is_behind(
    gus: Gus, empty_database_url: str, models: Callable[[str], str]
) -> None:
    file = models("http://127.0.0.1:9/v1")
    said = gus(
        "serve", ENV="production", PORT="0", DATABASE_URL=empty_database_url, MODELS=file, SECRET_KEY=GOOD_SECRET
    )
    assert said.code == 1
    assert "run `gus migrate`" in said.err


def test_a_user_gets_a_key_that_is_shown_once(gus: Gus, database_url: str) -> None:
    user = gus("user", "create", "--name", "Ada", "--role", "premium", DATABASE_URL=database_url)
    assert user.code == 0
    key = gus("key", "issue", str(UUID(user.out.strip())), "--name", "first", "--manage")
    assert key.code == 0
    assert [line[:4] for line in key.lines] == ["gus_"]


def test_a_key_for_nobody_is_refused(gus: Gus, database_url: str) -> None:
    said = gus("key", "issue", "00000000-0000-7000-8000-00000000dead", "--name", "x", DATABASE_URL=database_url)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("There is no such user")


def test_users_are_listed_banned_and_signed_out(gus: Gus, database_url: str) -> None:
    ada = gus("user", "create", "--name", "Ada", DATABASE_URL=database_url).out.strip()
    bob = gus("user", "create", "--name", "Bob", "--role", "admin").out.strip()
    assert gus("user", "list").lines == [f"{bob}  ADMIN     -  -  Bob", f"{ada}  USER      -  -  Ada"]
    assert gus("user", "list", "AD").lines == gus("user", "list", ada).lines == [f"{ada}  USER      -  -  Ada"]
    assert gus("user", "ban", ada).lines == [f"{ada}  USER      -  banned  Ada"]
    assert gus("user", "ban", ada, "--days", "9").out.startswith(f"{ada}  USER      -  banned until 2")
    assert gus("user", "unban", ada).lines == [f"{ada}  USER      -  -  Ada"]
    gus("key", "issue", ada, "--name", "first", "--manage")
    [line] = gus("key", "list", ada).lines
    assert line.endswith("...  never used  does not expire  manages keys  first")
    assert gus("user", "sign-out", ada).code == 0
    assert gus("key", "list", ada).out == ""
    assert gus("user", "ban", str(UUID(int=1))).err.startswith("There is no such user")


def test_roles_and_plans_are_given_and_the_last_admin_stays_one(gus: Gus, database_url: str) -> None:
    ada = gus("user", "create", "--name", "Ada", DATABASE_URL=database_url).out.strip()
    assert gus("user", "set-role", ada, "admin").lines == [f"{ada}  ADMIN     -  -  Ada"]
    refused = gus("user", "set-role", ada, "user")
    assert (refused.code, "This is the last admin: name another one first." in refused.err) == (1, True)
    assert gus("user", "set-plan", ada, "unlimited").lines == [f"{ada}  ADMIN     unlimited  -  Ada"]
    assert "No plan has this key." in gus("user", "set-plan", ada, "nothing").err
    assert gus("user", "set-role", str(UUID(int=1)), "user").err.startswith("There is no such user")


def test_a_key_is_revoked_once(gus: Gus, database_url: str) -> None:
    user = gus("user", "create", DATABASE_URL=database_url).out.strip()
    gus("key", "issue", user, "--name", "first")
    key = gus("key", "list", user).out.split(" ")[0]
    assert gus("key", "revoke", key).lines == ["revoked"]
    assert gus("key", "revoke", key).err.startswith("There is no such key")


def test_schema_prints_the_contract(gus: Gus) -> None:
    said = gus("schema")
    assert said.code == 0
    assert said.out == printed().rstrip("\n") + "\n"


async def test_doctor_finds_everything_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str, models: Callable[[str], str]
) -> None:
    async with ModelServer() as server:
        settings = {
            "DATA_DIR": str(tmp_path),
            "DATABASE_URL": database_url,
            "MODELS": models(server.base_url),
            "PORT": "0",
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"GUS_{name}", value)
        findings = await examine(report=lambda finding: None)
    assert [(finding.name, finding.good) for finding in findings] == [
        (name, True)
        for name in (
            "python",
            "settings",
            "data directory",
            "port",
            "secret key",
            "database",
            "schema",
            "models",
            "model server s",
        )
    ]


def test_doctor_says_what_is_wrong(gus: Gus, taken_port: str, models: Callable[[str], str]) -> None:
    database = f"postgresql://gus:hunter22@127.0.0.1:1{taken_port[1:]}/gus"
    said = gus("doctor", PORT=taken_port, DATABASE_URL=database, MODELS=models("http://127.0.0.1:9/v1"))
    assert said.code == 1
    wrong = [line.split(":")[0] for line in said.lines if line.startswith("WRONG")]
    assert wrong == ["WRONG port", "WRONG database", "WRONG model server s"]
    assert "hunter22" not in said.out


def test_doctor_tells_wrong_settings_as_findings(gus: Gus) -> None:
    said = gus("doctor", PORT="http", PROT="1")
    assert said.code == 1
    assert [line.split(" ")[2] for line in said.lines if line.startswith("WRONG")] == ["GUS_PROT:", "GUS_PORT:"]


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("requirements.lock", {"embedded", "build"}),
        ("requirements-dev.lock", {"embedded", "build", "dev"}),
        ("requirements-docker.lock", set[str]()),
    ],
)
def test_a_lock_has_what_pyproject_asks_for(lock: str, extras: set[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(entry for extra in extras for entry in project["optional-dependencies"][extra]),
    ]
    pinned = dict(line.split(" ")[0].split("==") for line in (ROOT / lock).read_text().splitlines() if "==" in line)
    unmet = [entry for entry in map(Requirement, wanted) if not entry.specifier.contains(pinned.get(entry.name, "0"))]
    assert unmet == []


def test_the_schema_of_plans_is_the_published_one(gus: Gus) -> None:
    said = gus("plans", "schema")
    assert (said.code, said.out) == (0, (ROOT / "docs" / "plans.schema.json").read_text())


def test_plans_with_a_flaw_are_not_applied(gus: Gus, tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text('[[plans]]\nkey = "a"\nname = "A"\nprice = 1\n')
    said = gus("plans", "apply", str(file))
    assert (said.code, said.out) == (2, "")
    assert f"{file}: [[plans]] 1 (a): price: there is no such key" in said.err
    assert "cannot read" in gus("plans", "apply", str(tmp_path / "nothing")).err
