"""The child process of `providers.llama`: llama.cpp serving the OpenAI API, for as long as its parent lives.

Run as a file and not as a module, so that it starts without the imports of the package around it.
"""

import ctypes
import json
import os
import signal
import sys
from typing import TypedDict

PR_SET_PDEATHSIG = 1


class Settings(TypedDict):
    """One line of JSON on standard input. Not arguments: every user of the machine could read the key there."""

    weights: str
    name: str
    port: int
    api_key: str
    context_window: int
    threads: int
    parent: int


def main() -> None:
    settings: Settings = json.loads(sys.stdin.readline())
    _die_with(settings["parent"])
    server = _serve(settings)
    _tell_ready(server)
    # The parent holds the other end and never writes again: this returns when the parent is gone, however it went.
    sys.stdin.read()
    os._exit(0)


def _die_with(parent: int) -> None:
    """Loading holds the interpreter, so nobody could watch the pipe meanwhile: on Linux the kernel does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)


def _serve(settings: Settings) -> object:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = settings["weights"], {settings["name"]}
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], settings["port"], [settings["api_key"]]
    params.n_ctx, params.n_parallel = settings["context_window"], 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    # Whether the client has left is looked at between batches: 2,048 tokens, the default, hold the slot for many seconds.
    params.n_batch = params.n_ubatch = 128
    # Enough for those who wait for the one slot: health must be answered meanwhile.
    params.n_threads_http = 32
    # The default keeps up to 8 GiB of old prompts.
    params.cache_ram_mib, params.cache_idle_slots = 0, False
    params.ui = params.endpoint_slots = False
    params.offline = True
    # Warnings and errors.
    params.verbosity = 2
    return xllamacpp.Server(params)


def _tell_ready(server: object) -> None:
    """Refers to the server, so that it is not collected before."""
    os.write(sys.stdout.fileno(), b"ready\n" if server else b"")


if __name__ == "__main__":
    main()
