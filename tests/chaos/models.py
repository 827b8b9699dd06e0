"""The models of the stage, and a server of some of them that can be killed."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.served import ROOT

# A breaker that opened in one round must not spoil the next: each has other names for the same server.
MORTALS = 20

# Patient: on a slow machine a model must not fail for another reason than the fault.
_SERVER = """
[[servers]]
name = "{name}"
base_url = "{base_url}"
first_token_timeout_seconds = 60
between_tokens_timeout_seconds = 60
"""
_MODEL = """
[[models]]
key = "{key}"
name = "scripted"
server = "{server}"
context_window = 32768
input_price_per_million = 0
output_price_per_million = 0
{more}
"""
_NOBODY = "http://127.0.0.1:9/v1"


def catalogue(base_url: str, mortal_url: str) -> str:
    """`scarce` gives one answer at a time, `patient` can go on with one. `falling-N` is never there, and falls back on
    `mortal-N` and then on `scripted`; of `short-N` the mortal one is the last."""
    parts = [
        _SERVER.format(name="scripted", base_url=base_url),
        _SERVER.format(name="narrow", base_url=base_url),
        _MODEL.format(key="scripted", server="scripted", more=""),
        _MODEL.format(key="scarce", server="narrow", more="max_concurrency = 1"),
        _MODEL.format(key="patient", server="scripted", more='capabilities = ["STREAMING", "CONTINUE"]'),
    ]
    for number in range(MORTALS):
        mortal, nowhere = f"mortal-{number}", f"nowhere-{number}"
        parts += [
            _SERVER.format(name=mortal, base_url=mortal_url),
            _SERVER.format(name=nowhere, base_url=_NOBODY),
            _MODEL.format(key=mortal, server=mortal, more=""),
            _MODEL.format(key=f"falling-{number}", server=nowhere, more=f'fallbacks = ["{mortal}", "scripted"]'),
            _MODEL.format(key=f"short-{number}", server=nowhere, more=f'fallbacks = ["{mortal}"]'),
        ]
    return "".join(parts)


class MortalModels:
    """A scripted model server on the same port after each start."""

    def __init__(self) -> None:
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self._process: subprocess.Popen[str] | None = None

    def begin(self) -> None:
        """Returns when it listens."""
        command = [sys.executable, "-u", "-m", "tests.model_server", "--port", str(self.port)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def freeze(self) -> None:
        """The kernel goes on taking connections for it, and what is asked on them."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        if self._process is not None:
            with self._process as process:
                process.kill()
            self._process = None


@contextmanager
def mortal_models() -> Iterator[MortalModels]:
    """Not started yet."""
    models = MortalModels()
    try:
        yield models
    finally:
        models.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
