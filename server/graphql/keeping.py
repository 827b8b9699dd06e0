"""What a long connection needs while it lasts: heartbeats, a fresh look at its credential, a word when the process drains."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from domain.errors import Unavailable
from domain.user import Viewer
from server.graphql.admission import Credential
from server.graphql.connections import Connections
from server.graphql.limits import TransportLimits


class Draining(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Keeper:
    connections: Connections
    limits: TransportLimits

    async def keep(
        self,
        credential: Credential | None,
        beat: Callable[[], Awaitable[None]],
        *,
        require: Callable[[Viewer], None] = lambda _: None,
    ) -> NoReturn:
        """Raises NotAuthenticated when the credential is no longer good, what `require` raises of its viewer, and Draining."""
        heartbeat, recheck = self.limits.heartbeat.total_seconds(), self.limits.recheck.total_seconds()
        time = asyncio.get_running_loop().time
        next_beat, next_check = time() + heartbeat, time() + recheck
        while True:
            await self.pause(min(next_beat, next_check) - time())
            if time() >= next_check:
                next_check = time() + recheck
                await _check(credential, require)
            if time() >= next_beat:
                next_beat = time() + heartbeat
                # A client so slow that not even this goes out is not idle, and its credential is still checked.
                with suppress(TimeoutError):
                    async with asyncio.timeout(recheck):
                        await beat()

    async def pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.connections.draining.wait()
        except TimeoutError:
            return
        raise Draining


async def _check(credential: Credential | None, require: Callable[[Viewer], None]) -> None:
    if credential is not None:
        # An outage of the storage closes no sockets: they would all come back at once.
        with suppress(Unavailable):
            require(await credential.viewer())
