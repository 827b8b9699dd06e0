"""Versions of instructions in PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.instruction import InstructionRef, InstructionScope, Layer
from domain.model import ModelKey
from domain.world import ConversationId, UserId
from repositories.database import Database

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


class SqlInstructions:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def in_force(self, owner: UserId, model: ModelKey, conversation: ConversationId | None) -> list[Layer]:
        return [to_layer(row) for row in await self._database.fetch(_IN_FORCE, owner, model, conversation)]

    async def recalled(self, refs: Sequence[InstructionRef]) -> list[Layer]:
        columns = [[ref.scope.value for ref in refs], [ref.key for ref in refs], [ref.version for ref in refs]]
        return [to_layer(row) for row in await self._database.fetch(_RECALLED, *columns)]


def to_layer(row: Mapping[str, Any]) -> Layer:
    ref = InstructionRef(InstructionScope(row["scope"]), row["key"], row["version"], row["sha256"])
    return Layer(ref, row["text"])
