"""The scripted model server as a process of its own."""

import argparse
import asyncio
from contextlib import suppress

from tests.model_server import ModelServer


async def _run(port: int) -> None:
    async with ModelServer(port) as server:
        print(f"listening on {server.base_url}", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=9000)
    with suppress(KeyboardInterrupt):
        asyncio.run(_run(arguments.parse_args().port))


if __name__ == "__main__":
    main()
