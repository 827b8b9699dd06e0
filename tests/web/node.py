"""Programs of Node, with the packages of `package.json` beside them."""

import json
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PACKAGES = HERE / "node_modules"
PATIENCE_SECONDS = 120


def run(program: str, *arguments: str) -> list[Any]:
    """A program of `programs/`: the JSON that it writes, line by line."""
    # Node has what browsers have for long, behind a flag in version 20.
    command = ["node", "--experimental-websocket", f"programs/{program}", *arguments]
    return [json.loads(line) for line in told_by(command).splitlines() if line.startswith(("{", "["))]


def told_by(command: list[str], *, cwd: Path = HERE) -> str:
    done = _done(command, cwd)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def refused_by(command: list[str], *, cwd: Path = HERE) -> str:
    """What it says when it fails, as it has to here."""
    done = _done(command, cwd)
    assert done.returncode != 0, f"{' '.join(command)} found nothing:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def _done(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
