"""Two processes of gus that share a PostgreSQL and a model server, and nothing else."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.e2e.scripted import model_process
from tests.e2e.served import Served, placed
from tests.graphql.acts import SAYINGS
from tests.graphql.models import MODELS, tables

Pair = tuple[Served, Served]

# What neither has a reason to say, whatever is done.
COMPLAINTS = ("[error", "[critical", "Exception ignored", "never retrieved")


@contextmanager
def started(database_url: str, secret_key: str, folder: Path) -> Iterator[Pair]:
    """Titles are off, and what runs at the end is interrupted at once. Both must end well."""
    asked = {model for _, model in SAYINGS}
    with ExitStack() as stack:
        file = folder / "models.toml"
        offered = tables([model for model in MODELS if model.key in asked], stack.enter_context(model_process()))
        file.write_text("\n\n".join(offered))
        settings = {"database_url": database_url, "secret_key": secret_key, "models": str(file), "grace_seconds": "0"}
        here, there = (stack.enter_context(placed(**settings)) for _ in range(2))
        here.begin()
        there.start()
        here.wait_until_ready()
        yield here, there
        assert (here.stop(), there.stop()) == (0, 0)


def complaints(pair: Pair) -> list[str]:
    """The lines of their logs that have one."""
    lines = (line for served in pair for line in served.output.splitlines())
    return [line for line in lines if any(words in line for words in COMPLAINTS)]
