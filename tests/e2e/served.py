"""The real server in a process of its own, started, asked and ended as an operator does it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from tests.e2e.client import Client

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 90


class Served:
    """`settings`: GUS_ variables without the prefix. `begin` again after an end is the next start on the same data."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir = data_dir
        self.settings = settings
        given = {"data_dir": str(data_dir), "port": "0", "titles": "off", **settings}
        # Compiling every library anew is most of a start.
        unwanted = ("GUS_", "PYTHONDONTWRITEBYTECODE")
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        self._environ |= {f"GUS_{name.upper()}": value for name, value in given.items()}
        self._log = data_dir / "serve.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def begin(self) -> None:
        # A group of its own: what goes to a terminal's foreground, or to the tests, does not reach it.
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "server", "serve"],
                cwd=ROOT,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        _until("it says that it is up", self._is_up)
        _until("it is ready", lambda: httpx.get(f"{self.origin}/health/ready").status_code == 200)

    def start(self) -> None:
        self.begin()
        self.wait_until_ready()

    def start_again(self) -> None:
        """Unless it runs."""
        if not self.is_running:
            self.start()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit code."""
        assert self._process is not None
        return self._process.wait(PATIENCE_SECONDS)

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def end(self) -> None:
        """At once, whatever state it is in, with the database that it leaves."""
        if self.is_running:
            self.kill()
        postgres = self.postgres()
        if postgres:
            with suppress(psutil.NoSuchProcess):
                # An immediate shutdown: nothing is written any more, and no shared memory is left.
                postgres[0].send_signal(signal.SIGQUIT)
            _until("PostgreSQL has ended", lambda: all(map(is_gone, postgres)))

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`gus ...` with the same settings."""
        return subprocess.run(
            [sys.executable, "-m", "server", *arguments],
            cwd=ROOT,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )

    def gus(self, *arguments: str) -> str:
        """What a command that must succeed prints."""
        done = self.command(*arguments)
        assert done.returncode == 0, done
        return done.stdout.strip()

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def origin(self) -> str:
        told = re.search(r"http://[^/\s]+:\d+", self.output)
        assert told is not None, self.output
        return told[0]

    @property
    def development_key(self) -> str:
        label = "Key: "
        return next(line for line in self.output.splitlines() if line.startswith(label)).removeprefix(label)

    def client(self, key: str | None = None) -> Client:
        return Client(self.origin, key or self.development_key)

    def family(self) -> list[psutil.Process]:
        """The server, its model, and PostgreSQL, which is a child of nobody."""
        assert self._process is not None
        return [psutil.Process(self._process.pid), *self.models(), *self.postgres()]

    def models(self) -> list[psutil.Process]:
        assert self._process is not None
        return list(psutil.Process(self._process.pid).children(recursive=True))

    def postgres(self) -> list[psutil.Process]:
        elsewhere = self.data_dir / "postgres.path"
        home = Path(elsewhere.read_text().strip()) if elsewhere.exists() else self.data_dir / "postgres"
        with suppress(FileNotFoundError, psutil.NoSuchProcess):
            postmaster = psutil.Process(int((home / "data" / "postmaster.pid").read_text().split()[0]))
            if str(home / "data") in postmaster.cmdline():
                return [postmaster, *postmaster.children(recursive=True)]
        return []

    def _is_up(self) -> bool:
        assert self.is_running, f"The server did not start:\n{self.output}"
        return "Ready." in self.output


@contextmanager
def placed(**settings: str) -> Iterator[Served]:
    """Not started yet; its data are gone afterwards."""
    # Directly in /tmp: the path of PostgreSQL's socket must be short, and the user it runs as must get there.
    data_dir = Path(tempfile.mkdtemp(prefix="gus-e2e-", dir="/tmp"))
    served = Served(data_dir, **settings)
    try:
        yield served
    finally:
        served.end()
        shutil.rmtree(data_dir)


@contextmanager
def serving(**settings: str) -> Iterator[Served]:
    with placed(**settings) as served:
        served.start()
        yield served


def is_gone(process: psutil.Process) -> bool:
    """A zombie is gone: that nobody has collected it is not the server's doing."""
    with suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def _until(what: str, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, f"Waited in vain until {what}."
        time.sleep(0.05)
