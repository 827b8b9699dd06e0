"""Tortoise's asyncpg client, opened by a whole connection URL: sslmode, several hosts, a socket's folder."""

from typing import Any

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient

_FROM_URL = frozenset({"host", "port", "user", "password", "database"})


class UrlClient(AsyncpgDBClient):
    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(**options)
        self._url = url

    async def create_pool(self, **options: Any) -> Any:
        return await asyncpg.create_pool(
            self._url, **{name: value for name, value in options.items() if name not in _FROM_URL}
        )


# Tortoise looks for this name in the module that a connection names as its engine.
client_class = UrlClient
