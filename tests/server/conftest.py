from collections.abc import Callable, Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest

from tests.e2e.scripted import Scripted, scripted_models
from tests.e2e.served import Served, serving

Serve = Callable[..., Served]


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted_models(tmp_path_factory.mktemp("models")) as scripted:
        yield scripted


@pytest.fixture
def serve(database_url: str, scripted: Scripted) -> Iterator[Serve]:
    """Starts gus with these settings; its database and its model server are not its own."""
    elsewhere = {"database_url": database_url, "models": str(scripted.catalogue), "secret_key": uuid4().hex}
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(**elsewhere, **settings))
