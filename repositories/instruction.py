"""Versions of instructions in PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from domain.errors import BadPage
from domain.instruction import (
    PUBLISHED,
    Instruction,
    InstructionRef,
    InstructionScope,
    Layer,
    Publication,
    sha256_of,
)
from domain.model import ModelKey
from domain.page import Page, PageArgs, page_of
from domain.world import ConversationId, InstructionId, UserId, World
from repositories.database import Database, Session

_IN_FORCE = """
SELECT i.scope, i.key, i.version, i.sha256, i.text
FROM (VALUES (1, 'PLATFORM', ''), (2, 'ROLE', (SELECT role FROM users WHERE id = $1)), (3, 'ENDPOINT', $2::text),
  (4, 'USER', $1::uuid::text), (5, 'CONVERSATION', $3::uuid::text)) AS w (strength, scope, key)
CROSS JOIN LATERAL (
  SELECT * FROM instructions i WHERE i.scope = w.scope AND i.key = w.key ORDER BY i.version DESC LIMIT 1
) i
WHERE i.text <> ''
ORDER BY w.strength
"""

_RECALLED = """
SELECT i.scope, i.key, i.version, i.sha256, i.text
FROM unnest($1::text[], $2::text[], $3::int[]) WITH ORDINALITY AS w (scope, key, version, n)
JOIN instructions i USING (scope, key, version)
ORDER BY w.n
"""

_TEXTS = """
SELECT w.key, i.text
FROM unnest($2::uuid[]) AS w (key)
CROSS JOIN LATERAL (
  SELECT text FROM instructions i WHERE i.scope = $1 AND i.key = w.key::text ORDER BY i.version DESC LIMIT 1
) i
WHERE i.text <> ''
"""

_LATEST = """
WITH latest AS (SELECT version, text FROM instructions WHERE scope = $2 AND key = $3 ORDER BY version DESC LIMIT 1)
INSERT INTO instructions (id, scope, key, version, text, sha256, published_at, published_by)
SELECT $1, $2, $3, 1 + coalesce((SELECT version FROM latest), 0), $4, $5, now(), $6
"""

# Who says the same again says nothing new.
_SAY = f"{_LATEST} WHERE $4 <> coalesce((SELECT text FROM latest), '')"

# From one conversation to another, whose first version it is.
_COPY = """
INSERT INTO instructions (id, scope, key, version, text, sha256, published_at, published_by)
SELECT $1, scope, $3::uuid::text, 1, text, sha256, now(), published_by FROM (
  SELECT * FROM instructions WHERE scope = 'CONVERSATION' AND key = $2::uuid::text ORDER BY version DESC LIMIT 1
) i WHERE text <> ''
"""

# Of two who replace the same version one waits for the other, and then finds it replaced.
_PUBLISH = f"""
{_LATEST} WHERE coalesce((SELECT version FROM latest), 0) = $7
ON CONFLICT (scope, key, version) DO NOTHING RETURNING *
"""

_BY_ID = "SELECT * FROM instructions WHERE id = ANY($1) AND scope = ANY($2)"

_LISTED = """
SELECT * FROM instructions i
WHERE scope = ANY($1)
  AND ($2 OR text <> '' AND NOT EXISTS (
    SELECT 1 FROM instructions newer WHERE newer.scope = i.scope AND newer.key = i.key AND newer.version > i.version
  ))
  AND ($3::uuid IS NULL OR id < $3)
ORDER BY id DESC LIMIT $4
"""


class SqlInstructions:
    def __init__(self, database: Database, world: World) -> None:
        self._database, self._world = database, world

    async def in_force(self, owner: UserId, model: ModelKey, conversation: ConversationId) -> list[Layer]:
        return [_to_layer(row) for row in await self._database.fetch(_IN_FORCE, owner, model, conversation)]

    async def recalled(self, refs: Sequence[InstructionRef]) -> list[Layer]:
        columns = [[ref.scope.value for ref in refs], [ref.key for ref in refs], [ref.version for ref in refs]]
        return [_to_layer(row) for row in await self._database.fetch(_RECALLED, *columns)]

    async def own(self, user: UserId) -> str | None:
        return (await self._texts(InstructionScope.USER, [user])).get(user)

    async def of_conversations(self, ids: Sequence[ConversationId]) -> dict[ConversationId, str]:
        found = await self._texts(InstructionScope.CONVERSATION, ids)
        return {ConversationId(key): text for key, text in found.items()}

    async def say(self, user: UserId, text: str) -> None:
        async with self._database.transaction() as session:
            # The user's row lock lets two requests count versions one after the other.
            await session.fetch("SELECT 1 FROM users WHERE id = $1 FOR NO KEY UPDATE", user)
            await say(session, self._world, InstructionScope.USER, str(user), text, by=user)

    async def publish(self, publication: Publication, by: UserId) -> Instruction | None:
        text = publication.text
        row = await self._database.fetchrow(
            _PUBLISH,
            self._world.new_id(),
            publication.scope.value,
            publication.key,
            text,
            sha256_of(text),
            by,
            publication.expected_version,
        )
        return None if row is None else to_instruction(row)

    async def published(
        self, scopes: Sequence[InstructionScope], page: PageArgs, *, history: bool
    ) -> Page[Instruction]:
        rows = await self._database.fetch(
            _LISTED, [scope.value for scope in scopes], history, _id_of(page.after), page.size + 1
        )
        return page_of([to_instruction(row) for row in rows], page, lambda instruction: str(instruction.id))

    async def by_id(self, ids: Sequence[InstructionId]) -> dict[InstructionId, Instruction]:
        rows = await self._database.fetch(_BY_ID, ids, [scope.value for scope in PUBLISHED])
        return {InstructionId(row["id"]): to_instruction(row) for row in rows}

    async def _texts(self, scope: InstructionScope, keys: Sequence[UUID]) -> dict[UUID, str]:
        rows = await self._database.fetch(_TEXTS, scope.value, keys)
        return {row["key"]: row["text"] for row in rows}


def _id_of(cursor: str | None) -> UUID | None:
    """Raises BadPage."""
    try:
        return UUID(cursor) if cursor is not None else None
    except ValueError:
        raise BadPage("`after` takes a cursor that this list has given.") from None


async def say(session: Session, world: World, scope: InstructionScope, key: str, text: str, *, by: UserId) -> bool:
    """The next version of what one person says, under a lock that lets nobody else say it; empty: taken back."""
    return await session.execute(_SAY, world.new_id(), scope.value, key, text, sha256_of(text), by) == 1


async def copy(session: Session, world: World, origin: ConversationId, fork: ConversationId) -> None:
    await session.execute(_COPY, world.new_id(), origin, fork)


def _to_layer(row: Mapping[str, Any]) -> Layer:
    ref = InstructionRef(InstructionScope(row["scope"]), row["key"], row["version"], row["sha256"])
    return Layer(ref, row["text"])


def to_instruction(row: Mapping[str, Any]) -> Instruction:
    by = row["published_by"]
    return Instruction(
        InstructionId(row["id"]),
        InstructionScope(row["scope"]),
        row["key"],
        row["version"],
        row["text"],
        row["sha256"],
        row["published_at"],
        None if by is None else UserId(by),
    )
