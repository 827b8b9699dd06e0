"""Work that is worth doing only while its client is there."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from litestar.types import Receive

from server.graphql.errors import ClientLeft

T = TypeVar("T")


async def unless_gone(receive: Receive, work: Awaitable[T]) -> T:
    """Cancels `work`, which does not raise, and raises ClientLeft when the client leaves first."""
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(until_gone(receive))
            result = await work
            watching.cancel()
    except* ClientLeft:
        raise ClientLeft from None
    return result


async def until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientLeft
