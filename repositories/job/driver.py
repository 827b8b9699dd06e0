"""What pgqueuer is given of a database: our pool, fixed names, and no NOTIFY."""

import asyncio
from typing import Any

from pgqueuer.core.tm import TaskManager
from pgqueuer.domain.models import TableChangedEvent, utc_now
from pgqueuer.domain.settings import DBSettings
from pgqueuer.domain.types import Channel
from pgqueuer.ports.driver import Driver, NotifyCallback

from domain.errors import Unavailable
from repositories.database import Database

CHANNEL = Channel("jobs")


class Names(DBSettings):
    """pgqueuer's own names, whatever the environment says: it would read variables as common as CHANNEL."""

    @classmethod
    def settings_customise_sources(cls, settings_cls: Any, init_settings: Any, *_: Any, **__: Any) -> Any:
        return (init_settings,)


class PooledDriver(Driver):
    """pgqueuer's statements through our pool, which works behind a transaction pooler. What it tells by NOTIFY reaches this
    process only: between processes it would lock the whole database at each change of a job."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hearing: list[NotifyCallback] = []
        self._shutdown = asyncio.Event()
        self.leaving = False

    def wake(self) -> None:
        changed = TableChangedEvent(
            channel=CHANNEL, sent_at=utc_now(), type="table_changed_event", operation="insert", table="pgqueuer"
        )
        for hear in self._hearing:
            hear(changed.model_dump_json(exclude={"received_at"}))

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        while True:
            try:
                return [dict(row) for row in await self._database.fetch(query, *args)]
            except Unavailable as outage:
                await self._wait(outage)

    async def execute(self, query: str, *args: object) -> str:
        return str(len(await self.fetch(query, *args)))

    async def notify(self, channel: str, payload: str) -> None:
        for hear in self._hearing:
            hear(payload)

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        self._hearing.append(callback)

    @property
    def shutdown(self) -> asyncio.Event:
        return self._shutdown

    @property
    def tm(self) -> TaskManager:
        return TaskManager()

    async def __aenter__(self) -> "PooledDriver":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def _wait(self, outage: Unavailable) -> None:
        """A statement that fails makes pgqueuer forget a job or stop working. Raises the outage when there is no more time."""
        if self.leaving:
            raise outage
        await asyncio.sleep(outage.retry_after)
