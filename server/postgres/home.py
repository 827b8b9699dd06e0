"""Where the embedded database lives, and whose it is."""

import os
import pwd
import secrets
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from server.settings import CannotStart

SERVICE_ACCOUNT = "gus-postgres"
OUTSIDE = (Path("/var/lib/gus"), Path("/var/tmp/gus"))


@dataclass(frozen=True, slots=True)
class Account:
    uid: int
    gid: int


def home_of(data_dir: Path) -> Path:
    remembered = data_dir / "postgres.path"
    return Path(remembered.read_text().strip()) if remembered.exists() else data_dir.resolve() / "postgres"


def made_home(data_dir: Path) -> Path:
    """Raises CannotStart."""
    home = home_of(data_dir)
    if home.exists():
        return home
    if (data_dir / "postgres.path").exists():
        raise CannotStart(
            f"The database that {data_dir / 'postgres.path'} names is gone: there is no {home}. "
            "Bring it back, or remove that file to begin with an empty database."
        )
    home = _reachable_home(data_dir) if os.geteuid() == 0 else home
    home.mkdir(mode=0o700, exist_ok=True)
    return home


def account_for(home: Path) -> Account | None:
    """None: as ourselves. Root gets whoever has the database, or else a user without rights. Raises CannotStart."""
    owner = home.stat()
    if os.geteuid() == 0:
        account = _unprivileged_account() if owner.st_uid == 0 else Account(owner.st_uid, owner.st_gid)
        give(home, account)
        return account
    if owner.st_uid != os.geteuid():
        raise CannotStart(
            f"The database in {home} belongs to user {owner.st_uid}, and this is user {os.geteuid()}: "
            "start gus as the user who made it, or as root, or set GUS_DATA_DIR to another folder."
        )
    return None


def give(path: Path, account: Account | None) -> None:
    """To the account alone."""
    path.chmod(0o700 if path.is_dir() else 0o600)
    if account is not None:
        os.chown(path, account.uid, account.gid)


def _reachable_home(data_dir: Path) -> Path:
    if _open_to_all(data_dir):
        # Through the data directory, not into its files.
        data_dir.chmod(stat.S_IMODE(data_dir.stat().st_mode) | 0o011)
        return data_dir.resolve() / "postgres"
    home = _outside() / secrets.token_hex(4)
    # Made before it is named: a crash in between must not look like a lost database.
    home.mkdir(mode=0o700)
    (data_dir / "postgres.path").write_text(f"{home}\n")
    return home


def _open_to_all(folder: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in folder.resolve().parents)


def _outside() -> Path:
    for folder in OUTSIDE:
        with suppress(OSError):
            folder.mkdir(mode=0o711, parents=True, exist_ok=True)
            # In /var/tmp somebody else may have been first.
            if stat.S_ISDIR(folder.lstat().st_mode) and folder.lstat().st_uid == 0 and os.access(folder, os.W_OK):
                folder.chmod(0o711)
                return folder
    raise CannotStart(
        "There is no place for a database that root can share: set GUS_DATA_DIR to a folder such as /srv/gus."
    )


def _unprivileged_account() -> Account:
    with suppress(KeyError):
        return _known_account(SERVICE_ACCOUNT)
    with suppress(OSError, subprocess.CalledProcessError, KeyError):
        command = [
            "useradd",
            "--system",
            "--no-create-home",
            "--home-dir",
            "/nonexistent",
            "--shell",
            "/bin/false",
            SERVICE_ACCOUNT,
        ]
        subprocess.run(command, check=True, capture_output=True)
        return _known_account(SERVICE_ACCOUNT)
    return _known_account("nobody")


def _known_account(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return Account(entry.pw_uid, entry.pw_gid)
