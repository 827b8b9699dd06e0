"""The domain's MessageStore."""

from collections.abc import Sequence

from domain.message import Family, Message, MessageFilter
from domain.page import Page, PageArgs
from domain.world import ConversationId, MessageId, UserId
from repositories.database import Database
from repositories.message import family
from repositories.message.leaf import leaves_below
from repositories.message.order import in_creation_order, leaves
from repositories.message.path import path, shared_depths, upwards
from repositories.message.row import COLUMNS, OWNED, RUN, to_message

_BY_ID = f"SELECT {COLUMNS} FROM messages m {OWNED} {RUN} WHERE m.id = ANY($2)"


class SqlMessages:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def messages(self, owner: UserId, ids: Sequence[MessageId]) -> dict[MessageId, Message]:
        rows = await self._database.fetch(_BY_ID, owner, ids)
        return {MessageId(row["id"]): to_message(row, owner) for row in rows}

    async def path(
        self, owner: UserId, leaf: Message, page: PageArgs, *, highest: int = 0, lowest: int | None = None
    ) -> Page[Message]:
        return await path(self._database, owner, leaf, page, highest=highest, lowest=lowest)

    async def shared_depth(self, owner: UserId, one: Message, other: Message) -> int:
        return (await shared_depths(self._database, owner, one, [other.id])).get(other.id, -1)

    async def families(self, owner: UserId, families: Sequence[Family], page: PageArgs) -> dict[Family, Page[Message]]:
        return await family.families(self._database, owner, families, page)

    async def family_sizes(self, owner: UserId, families: Sequence[Family]) -> dict[Family, int]:
        return await family.family_sizes(self._database, owner, families)

    async def siblings_at(
        self, owner: UserId, places: Sequence[tuple[Family, int]]
    ) -> dict[tuple[Family, int], Message]:
        return await family.siblings_at(self._database, owner, places)

    async def in_creation_order(
        self, owner: UserId, conversation_id: ConversationId, page: PageArgs, having: MessageFilter
    ) -> Page[Message]:
        return await in_creation_order(self._database, owner, conversation_id, page, having)

    async def leaves(self, owner: UserId, conversation_id: ConversationId, page: PageArgs) -> Page[Message]:
        return await leaves(self._database, owner, conversation_id, page)

    async def leaves_below(self, owner: UserId, ids: Sequence[MessageId]) -> dict[MessageId, Message]:
        return await leaves_below(self._database, owner, ids)

    async def ancestors(self, owner: UserId, newest: MessageId, *, skip: int, limit: int) -> list[Message]:
        return (await upwards(self._database, owner, newest, skip=skip, limit=limit))[::-1]
