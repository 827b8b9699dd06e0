"""The processes that are measured: a model server, PostgreSQL, gus, and the plain server."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psutil

from domain.user import Role, Users
from domain.world import RealWorld
from repositories.database import open_database
from repositories.user import SqlUsers
from server.postgres import Cluster
from tests.e2e.served import ROOT, Served, placed

CATALOGUE = """
[[servers]]
name = "timed"
base_url = "{model}/v1"
first_token_timeout_seconds = 600
between_tokens_timeout_seconds = 600
max_connections = 5000

[[models]]
key = "timed"
server = "timed"
context_window = 8192
input_price_per_million = 0
output_price_per_million = 0
"""
KEYS = 30


@dataclass(frozen=True, slots=True)
class System:
    """One that is asked. Its load is spread over `keys`: one user may open 50 sockets."""

    name: str
    origin: str
    process: psutil.Process
    keys: tuple[str, ...]
    helpers: tuple[psutil.Process, ...] = ()

    def cpu_seconds(self) -> float:
        return _cpu_seconds(self.process)

    def helpers_cpu_seconds(self) -> float:
        """Of its PostgreSQL."""
        return sum(_family_cpu_seconds(helper) for helper in self.helpers)

    def rss_kb(self) -> float:
        kilobytes: float = self.process.memory_info().rss / 1024
        return kilobytes


@dataclass(frozen=True, slots=True)
class Systems:
    model: str
    plain: System
    gus: System

    @property
    def both(self) -> tuple[System, System]:
        return self.plain, self.gus


@asynccontextmanager
async def running_systems() -> AsyncIterator[Systems]:
    with ExitStack() as stack:
        model, _ = stack.enter_context(_listening("tests.load.model"))
        origin, process = stack.enter_context(_listening("tests.load.plain_server", model))
        database_url, postgres = stack.enter_context(durable_postgres())
        secret = uuid4().hex
        served = stack.enter_context(_placed_gus(model, database_url, secret))
        served.start()
        keys = await _issued_keys(database_url, secret)
        gus = System("gus", served.origin, served.family()[0], keys, (postgres,))
        yield Systems(model, System("plain", origin, process, ("",)), gus)


@contextmanager
def _listening(module: str, *arguments: str) -> Iterator[tuple[str, psutil.Process]]:
    command = [sys.executable, "-u", "-m", module, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), psutil.Process(process.pid)
        finally:
            process.terminate()


@contextmanager
def durable_postgres() -> Iterator[tuple[str, psutil.Process]]:
    """As in production: what is committed is on the disk."""
    folder = Path(tempfile.mkdtemp(prefix="gus-load-"))
    cluster = Cluster.of(folder)
    try:
        url = cluster.start()
        postmaster = int((cluster.files / "postmaster.pid").read_text().split()[0])
        yield url, psutil.Process(postmaster)
    finally:
        cluster.stop()
        shutil.rmtree(cluster.home)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _placed_gus(model: str, database_url: str, secret: str) -> Iterator[Served]:
    with tempfile.TemporaryDirectory(prefix="gus-load-") as folder:
        catalogue = Path(folder) / "models.toml"
        catalogue.write_text(CATALOGUE.format(model=model))
        with placed(database_url=database_url, models=str(catalogue), secret_key=secret) as served:
            yield served


async def _issued_keys(database_url: str, secret: str) -> tuple[str, ...]:
    async with open_database(database_url, 1) as database:
        users = Users(SqlUsers(database), RealWorld(), secret)
        made = [await users.create_user(None, Role.USER) for _ in range(KEYS)]
        return tuple([(await users.issue_key(user.id, "load", can_manage=False)).secret for user in made])


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    seconds: float = times.user + times.system
    return seconds


def _family_cpu_seconds(process: psutil.Process) -> float:
    """With the children that live; PostgreSQL's backends live as long as the pool that opened them."""
    seconds = 0.0
    for member in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            seconds += _cpu_seconds(member)
    return seconds
