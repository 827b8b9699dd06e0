"""One throw-away PostgreSQL for a run of tests, from which each test clones its database."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.postgres import Cluster


@contextmanager
def start_test_postgres() -> Iterator[str]:
    """Yields the URL of an empty database, as its superuser. Nothing is synced to disk; all is gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="gus-test-"))
    cluster = Cluster.of(folder, durable=False)
    try:
        yield cluster.start()
    finally:
        cluster.stop()
        shutil.rmtree(cluster.home)
        shutil.rmtree(folder, ignore_errors=True)
