"""The stage: processes of gus on one PostgreSQL that syncs to disk and may be broken, and the scripted model server."""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg
import httpx
import psutil

from domain.user import Role, Users
from domain.world import NodeId, RealWorld
from repositories.database import open_database
from repositories.migrate import migrate
from repositories.user import SqlUsers
from server.node import Worker
from server.postgres import Cluster
from server.postgres.program import run
from tests.chaos.models import MortalModels, catalogue, free_port, mortal_models
from tests.e2e.scripted import Scripted, scripted_models
from tests.e2e.served import Served, placed

LEASE_SECONDS = 3
GRACE_SECONDS = 2
ACCOUNTS = 40
NAMES = ("A", "B", "C")
NOBODY_LISTENS = "nobody_listens"

# The two processes that are broken in turn, and one that hears no wake-up and wakes nobody.
DEAF = 2

# What a process must not have to say, whatever is done to it.
COMPLAINTS = ("[error", "[critical", "Exception ignored", "Fatal Python error")


class Process:
    """One process of gus, on the same port and the same data after each start."""

    def __init__(self, name: str, served: Served, port: int) -> None:
        self.name, self._served, self._port = name, served, port
        self.origin = f"http://127.0.0.1:{port}"
        self._complaints: list[str] = []

    @property
    def is_running(self) -> bool:
        return self._served.is_running

    @property
    def node(self) -> NodeId:
        """The same after each start."""
        return Worker(UUID((self._served.data_dir / "host").read_text().strip())).node_id

    def begin(self) -> None:
        self._served.begin()

    def kill(self) -> None:
        self._note_complaints()
        self._served.kill()

    def freeze(self) -> None:
        self._served.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._served.signal(signal.SIGCONT)

    def terminate(self) -> None:
        self._served.signal(signal.SIGTERM)

    async def ended(self) -> int:
        """The exit code."""
        code = await asyncio.to_thread(self._served.wait)
        self._note_complaints()
        return code

    async def ready(self) -> None:
        await asyncio.to_thread(self._served.wait_until_ready)

    async def start_again(self) -> None:
        """Unless it runs."""
        if not self.is_running:
            self.begin()
            await self.ready()

    def workers(self) -> list[psutil.Process]:
        """Those that live."""
        return [each for each in self._served.family()[1:] if _is_worker(each)]

    def connections_to(self, port: int) -> int:
        return sum(each.raddr.port == port for each in self._inspected().net_connections("tcp") if each.raddr)

    def connections(self) -> int:
        """Of clients, as the kernel counts them."""
        return sum(
            each.status == psutil.CONN_ESTABLISHED and each.laddr.port == self._port
            for each in self._inspected().net_connections("tcp")
        )

    def memory_mb(self) -> float:
        resident: int = self._inspected().memory_info().rss
        return resident / 1024**2

    def complaints(self) -> list[str]:
        """Since this was asked last."""
        if self.is_running:
            self._note_complaints()
        found, self._complaints = self._complaints, []
        return found

    def _inspected(self) -> psutil.Process:
        return self._served.family()[0]

    def _note_complaints(self) -> None:
        lines = self._served.output.splitlines()
        fresh = [
            f"{self.name}: {' / '.join(lines[number : number + 1] + lines[number + 1 :][-3:])[:600]}"
            for number, line in enumerate(lines)
            if any(complaint in line for complaint in COMPLAINTS)
        ]
        self._complaints += [each for each in fresh if each not in self._complaints]


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return "worker" in process.cmdline()
    return False


@dataclass(frozen=True, slots=True)
class Stage:
    """`keys`: each of another user, because a user may hold only so many connections. `common`: settings of all processes."""

    cluster: Cluster
    database_url: str
    scripted: Scripted
    mortal: MortalModels
    common: dict[str, str]
    processes: tuple[Process, ...]
    keys: tuple[str, ...]

    @property
    def pair(self) -> tuple[Process, Process]:
        return self.processes[0], self.processes[1]

    @property
    def deaf(self) -> Process:
        return self.processes[DEAF]

    def pair_from(self, turn: int) -> tuple[Process, Process]:
        """Who suffers in this turn, and the other one."""
        return self.processes[turn % 2], self.processes[(turn + 1) % 2]

    async def break_postgres(self, *, crash: bool) -> None:
        """Returns when it is gone. A crash keeps nothing but what was synced."""
        if crash:
            halt = ["pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.cluster.files)]
            await asyncio.to_thread(run, self.cluster.home, self.cluster.account, halt)
        else:
            await asyncio.to_thread(self.cluster.stop)

    async def mend_postgres(self) -> None:
        await asyncio.to_thread(self.cluster.start)

    @asynccontextmanager
    async def also(self, name: str, **settings: str) -> AsyncIterator[Process]:
        """One more of gus on the same database, for a while."""
        with _process(name, self.common | settings) as process:
            process.begin()
            await process.ready()
            yield process

    async def forget_requests(self) -> None:
        """What the model server remembers takes it longer and longer to tell."""
        async with httpx.AsyncClient() as client:
            await client.delete(f"{self.scripted.base_url.removesuffix('/v1')}/requests")

    async def sql(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """On a connection of its own."""
        connection = await asyncpg.connect(self.database_url)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *values)
            return rows
        finally:
            await connection.close()


@contextmanager
def staged(names: tuple[str, ...] = NAMES) -> Iterator[Stage]:
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="gus-chaos-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        cluster = stack.enter_context(_postgres(folder))
        url, secret = cluster.start(), uuid4().hex
        keys = asyncio.run(_prepared(url, secret))
        scripted = stack.enter_context(scripted_models(folder))
        mortal = stack.enter_context(mortal_models())
        scripted.catalogue.write_text(catalogue(scripted.base_url, mortal.base_url))
        common = {
            "database_url": url,
            "models": str(scripted.catalogue),
            "secret_key": secret,
            "dev_key": f"gus_{uuid4().hex}",
            "lease_seconds": str(LEASE_SECONDS),
            "grace_seconds": str(GRACE_SECONDS),
        }
        elsewhere = {"listen_url": _named(url, NOBODY_LISTENS)}
        processes = [
            stack.enter_context(_process(name, common | (elsewhere if number == DEAF else {})))
            for number, name in enumerate(names)
        ]
        stage = Stage(cluster, url, scripted, mortal, common, tuple(processes), keys)
        asyncio.run(_start_all(stage))
        yield stage


@contextmanager
def _postgres(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster.of(folder, durable=True)
    try:
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(cluster.home, ignore_errors=True)


@contextmanager
def _process(name: str, settings: dict[str, str]) -> Iterator[Process]:
    port = free_port()
    with placed(**settings, port=str(port)) as served:
        process = Process(name, served, port)
        try:
            yield process
        finally:
            with suppress(AssertionError, ProcessLookupError):
                process.thaw()


async def _prepared(url: str, secret: str) -> tuple[str, ...]:
    """Returns the keys."""
    await migrate(url)
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {NOBODY_LISTENS}")
    await connection.close()
    async with open_database(url, 2) as database:
        users = Users(SqlUsers(database), RealWorld(), secret)
        made = [await users.create_user(f"Client {number}", Role.USER) for number in range(ACCOUNTS)]
        return tuple([(await users.issue_key(user.id, "chaos", can_manage=False)).secret for user in made])


async def _start_all(stage: Stage) -> None:
    for process in stage.processes:
        process.begin()
        # One after the other: three that start at once on two cores take longer than one by one.
        await process.ready()


def _named(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
