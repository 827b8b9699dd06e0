import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from server.postgres import Cluster, embedded_postgres, running_postgres
from server.postgres.cluster import SHORT
from server.postgres.home import home_of
from server.postgres.postmaster import postmaster
from server.serve import locked
from server.settings import CannotStart

ROOT = Path(__file__).parents[2]
KILLED = """
import os, sys
from pathlib import Path
from server.postgres import Cluster
Cluster.of(Path(sys.argv[1])).start()
os.kill(os.getpid(), 9)
"""
HOLDING = """
import sys
from pathlib import Path
from server.serve import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def empty_dir() -> Iterator[Path]:
    # Not below pytest's own folder: that is closed to all but its owner.
    folder = Path(tempfile.mkdtemp(prefix="gus-test-"))
    yield folder
    home = home_of(folder)
    if home.exists():
        Cluster.of(folder).stop()
        shutil.rmtree(home)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def stopped() -> Iterator[Path]:
    """A data directory with a database, to copy: making one takes seconds where the disk is slow."""
    folder = Path(tempfile.mkdtemp(prefix="gus-test-"))
    cluster = Cluster.of(folder, durable=False)
    cluster.start()
    cluster.stop()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def data_dir(empty_dir: Path, stopped: Path) -> Path:
    subprocess.run(["cp", "-a", f"{stopped}/.", empty_dir], check=True)
    return empty_dir


def files_of(data_dir: Path) -> Path:
    return home_of(data_dir) / "data"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def query(url: str, *statements: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


async def test_what_was_written_is_there_after_a_restart(data_dir: Path) -> None:
    async with embedded_postgres(data_dir) as url:
        await query(url, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (7) RETURNING n")
    assert postmaster(files_of(data_dir)) is None
    async with embedded_postgres(data_dir) as url:
        assert await query(url, "SELECT n FROM t") == 7


async def test_it_is_postgresql_18_in_unicode_and_durable(data_dir: Path) -> None:
    async with embedded_postgres(data_dir) as url:
        assert str(await query(url, "SHOW server_version")).startswith("18.")
        assert await query(url, "SELECT lower('ÄÖ')") == "äö"
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await query(url, f"SHOW {setting}") == "on"


async def test_the_first_start_says_what_takes_so_long_and_the_second_does_not(empty_dir: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        async with embedded_postgres(empty_dir, say=said.append):
            pass
    assert said == [f"Creating a database in {home_of(empty_dir)}, once"]


async def test_it_stops_although_somebody_is_connected(data_dir: Path) -> None:
    async with embedded_postgres(data_dir) as url:
        connection = await asyncpg.connect(url)
    assert postmaster(files_of(data_dir)) is None
    connection.terminate()


async def test_a_server_that_a_killed_gus_left_is_taken_over(data_dir: Path) -> None:
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, data_dir, cwd=ROOT)
    assert await killed.wait() == -signal.SIGKILL
    left = postmaster(files_of(data_dir))
    assert left is not None
    assert running_postgres(data_dir) is not None
    async with embedded_postgres(data_dir) as url:
        assert postmaster(files_of(data_dir)) == left
        assert await query(url, "SELECT 1") == 1
    assert postmaster(files_of(data_dir)) is None


async def test_a_killed_server_is_started_again_with_all_that_was_committed(data_dir: Path) -> None:
    async with embedded_postgres(data_dir) as url:
        await query(url, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (7) RETURNING n")
        pid = postmaster(files_of(data_dir))
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    async with embedded_postgres(data_dir) as url:
        assert await query(url, "SELECT n FROM t") == 7


async def test_a_stale_process_number_that_is_somebody_elses_by_now_stops_nobody(data_dir: Path) -> None:
    async with embedded_postgres(data_dir):
        stale = (files_of(data_dir) / "postmaster.pid").read_text().splitlines()
    for left in (files_of(data_dir) / "postmaster.pid", home_of(data_dir) / ".s.PGSQL.5432.lock"):
        left.write_text("\n".join([str(os.getpid()), *stale[1:]]) + "\n")
    assert running_postgres(data_dir) is None
    async with embedded_postgres(data_dir) as url:
        assert await query(url, "SELECT 1") == 1


async def test_a_creation_that_was_cut_off_begins_again(empty_dir: Path) -> None:
    draft = Cluster.of(empty_dir).home / "data.new"
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")
    async with embedded_postgres(empty_dir) as url:
        assert await query(url, "SELECT 1") == 1


async def test_who_is_cancelled_while_it_starts_leaves_no_server(empty_dir: Path) -> None:
    until_creating, loop = asyncio.Event(), asyncio.get_running_loop()

    def say(words: str) -> None:
        loop.call_soon_threadsafe(until_creating.set)

    async def serve() -> None:
        async with embedded_postgres(empty_dir, say=say):
            raise AssertionError

    serving = asyncio.create_task(serve())
    await until_creating.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert postmaster(files_of(empty_dir)) is None


@pytest.fixture
def long_dir(data_dir: Path) -> Path:
    long = data_dir / ("long" * 30)
    long.mkdir()
    (data_dir / "postgres").rename(long / "postgres")
    data_dir.chmod(0o711)
    return long


async def test_below_a_long_path_only_the_socket_is_elsewhere(long_dir: Path) -> None:
    async with embedded_postgres(long_dir) as url:
        assert await query(url, "SELECT 1") == 1
        folder = Path(url.split("host=")[1])
        assert (folder.parent, mode_of(folder)) == (SHORT, 0o700)
        assert files_of(long_dir).is_relative_to(long_dir)
    assert folder not in SHORT.iterdir()


async def test_the_database_of_another_major_version_is_refused_and_not_touched(data_dir: Path) -> None:
    async with embedded_postgres(data_dir):
        pass
    (files_of(data_dir) / "PG_VERSION").write_text("17\n")
    with pytest.raises(CannotStart, match="was made by PostgreSQL 17"):
        async with embedded_postgres(data_dir):
            raise AssertionError
    (files_of(data_dir) / "PG_VERSION").write_text("18\n")


async def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    async with embedded_postgres(data_dir):
        pass
    (files_of(data_dir) / "global" / "pg_control").rename(files_of(data_dir) / "pg_control")
    with pytest.raises(CannotStart, match="pg_control"):
        async with embedded_postgres(data_dir):
            raise AssertionError


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
async def test_root_keeps_the_database_outside_of_a_closed_folder_and_changes_no_permission(empty_dir: Path) -> None:
    closed = empty_dir / "data"
    closed.mkdir()
    async with embedded_postgres(closed) as url:
        assert await query(url, "SELECT 1") == 1
    home = home_of(closed)
    try:
        assert not home.is_relative_to(empty_dir)
        assert home.stat().st_uid != 0
        assert mode_of(empty_dir) == 0o700
        async with embedded_postgres(closed):
            assert home_of(closed) == home
    finally:
        shutil.rmtree(home)
    with pytest.raises(CannotStart, match="is gone"):
        async with embedded_postgres(closed):
            raise AssertionError


def test_a_second_process_on_a_data_directory_is_refused_until_the_first_is_gone(data_dir: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, data_dir], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holding:
        assert holding.stdout is not None
        assert holding.stdout.readline() == b"locked\n"
        with (
            pytest.raises(CannotStart, match=rf"process {holding.pid}\) uses the data directory {data_dir}"),
            locked(data_dir),
        ):
            raise AssertionError
        holding.kill()
    with locked(data_dir):
        pass
