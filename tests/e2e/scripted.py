"""The scripted model server as a process, and the file that offers its models to gus."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.served import ROOT

Request = dict[str, Any]

CATALOGUE = """
[[servers]]
name = "scripted"
base_url = "{base_url}"
first_token_timeout_seconds = 2
between_tokens_timeout_seconds = 1

[[servers]]
name = "nowhere"
base_url = "http://127.0.0.1:9/v1"

[[models]]
key = "scripted"
server = "scripted"
context_window = 8192
capabilities = ["STREAMING", "CONTINUE"]
input_price_per_million = 0.5
output_price_per_million = 1

# It cannot go on from a text.
[[models]]
key = "whole"
server = "scripted"
name = "scripted"
context_window = 8192
input_price_per_million = 0.5
output_price_per_million = 1

[[models]]
key = "nowhere"
server = "nowhere"
context_window = 8192
input_price_per_million = 0
output_price_per_million = 0
"""


# The same server by other names: a breaker that opens for one fault must not spoil the next.
ALIAS = """
[[servers]]
name = "{name}"
base_url = "{base_url}"
first_token_timeout_seconds = 2
between_tokens_timeout_seconds = 1

[[models]]
key = "{name}"
server = "{name}"
name = "scripted"
context_window = 8192
input_price_per_million = 0.5
output_price_per_million = 1
"""

FAULTS = ("cut", "error_event", "malformed", "hang_between", "html", "error_500", "bad_request", "empty")


@dataclass(frozen=True, slots=True)
class Scripted:
    base_url: str
    catalogue: Path

    def requests(self, id: str) -> list[Request]:
        """Those with this `id` in their script, oldest first."""
        seen: list[Request] = httpx.get(self.base_url.removesuffix("/v1") + "/requests").json()
        return [request for request in seen if request["script"]["id"] == id]

    async def wait_for(self, id: str, happened: Callable[[Request], bool], *, seconds: float = 5) -> Request:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := next(filter(happened, self.requests(id)), None):
                return found
            await asyncio.sleep(0.02)
        raise AssertionError(f"It did not happen within {seconds} s: {self.requests(id)}")


def script(**settings: object) -> str:
    """A question that says how it is to be answered."""
    return f"script: {json.dumps(settings)}"


@contextmanager
def scripted_models(folder: Path) -> Iterator[Scripted]:
    with model_process() as base_url:
        catalogue = folder / "models.toml"
        aliases = (ALIAS.format(name=fault, base_url=base_url) for fault in FAULTS)
        catalogue.write_text("\n".join([CATALOGUE.format(base_url=base_url), *aliases]))
        yield Scripted(base_url, catalogue)


@contextmanager
def model_process() -> Iterator[str]:
    """Its base URL."""
    command = [sys.executable, "-u", "-m", "tests.model_server", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().removeprefix("listening on ").strip()
        finally:
            process.terminate()
