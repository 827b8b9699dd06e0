import asyncio
from datetime import timedelta

from litestar.testing import AsyncTestClient, create_async_test_client

from server.health import Check, health_handlers


def client(**checks: Check) -> AsyncTestClient:  # type: ignore[type-arg]
    handlers = health_handlers(checks, limit=timedelta(milliseconds=50))
    return create_async_test_client(handlers, openapi_config=None, logging_config=None)


async def good() -> None:
    pass


async def broken() -> None:
    raise ConnectionError("could not connect to server: password authentication failed for user gus")


async def silent() -> None:
    await asyncio.Event().wait()


async def test_live_asks_nothing() -> None:
    async with client(database=broken) as asked:
        answer = await asked.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


async def test_ready_when_every_check_passes() -> None:
    async with client(database=good, models=good) as asked:
        answer = await asked.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
    assert answer.headers["cache-control"] == "no-store"


async def test_not_ready_names_what_fails_or_hangs_and_tells_no_driver_words() -> None:
    async with client(database=broken, models=silent, disk=good) as asked:
        answer = await asked.get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "not ready", "notReady": ["database", "models"]})
