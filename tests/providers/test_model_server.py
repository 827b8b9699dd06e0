import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from providers.openai import OpenAiServer
from tests.providers.asking import ask, config, scripted


@asynccontextmanager
async def process() -> AsyncIterator[str]:
    """Its base URL."""
    command = [sys.executable, "-m", "tests.model_server", "--port", "0"]
    child = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    try:
        assert child.stdout is not None
        yield (await child.stdout.readline()).decode().split()[-1]
    finally:
        child.kill()
        await child.wait()


async def test_it_runs_as_a_process_that_tells_what_it_saw_and_refuses_on_command() -> None:
    async with process() as url, OpenAiServer(config(url)) as server, httpx.AsyncClient() as client:
        answered = await ask(server, scripted(words=3))
        [seen] = (await client.get(url.replace("/v1", "/requests"))).json()
        await client.post(url.replace("/v1", "/refuse"), json={"seconds": 30})
        refused = await ask(server, scripted())
    assert (seen["text"], len(seen["produced"])) == (answered.text, answered.tokens)
    assert refused.failure is not None
