"""The path above a new message as the window reads it, and what answers have told of how models count."""

from collections.abc import Sequence

from domain.generation.entity import Generation
from domain.message import MessageRole
from domain.model import ModelKey
from domain.window.past import Past
from domain.window.policy import ContextPolicy
from domain.window.report import ContextReport
from domain.world import ConversationId, MessageId, UserId
from repositories.conversation.row import to_policy
from repositories.database import Database
from repositories.generation.context import context_json
from repositories.message.path import OF_SEGMENTS, SEGMENTS

_PAST = f"""
{SEGMENTS}
SELECT m.id, m.depth, m.role, m.text, (m.tokens->>$5)::int AS tokens, run.begun_at, run.unfinished
{OF_SEGMENTS} LEFT JOIN LATERAL (
  SELECT (g.context->>'from_depth')::int AS begun_at, g.ended_at IS NULL AS unfinished
  FROM generations g WHERE g.id = m.generation_id OFFSET 0
) run ON true
WHERE s.fork < s.high
ORDER BY m.depth DESC
"""

# Nearly the highest ratio, for an estimate should rather be too high. Prompts that a server has cut, or that were sent
# twice for an answer in JSON, tell nothing, and short ones little; what one model's users ask counts for that model alone.
_RATIOS = """
SELECT m.key, percentile_disc(0.95) WITHIN GROUP (ORDER BY of_model.ratio) AS ratio
FROM unnest($1::text[]) AS m (key) CROSS JOIN LATERAL (
  SELECT (g.input_tokens - (g.context->>'around')::int) / (g.context->>'weight')::float AS ratio
  FROM generations g
  WHERE g.model_key = m.key AND g.usage_source = 'PROVIDER' AND g.ended_at IS NOT NULL
    AND (g.context->>'weight')::int >= 100 AND NOT coalesce(g.notices @> '[{"code": "PROVIDER_TRUNCATED"}]', false)
    AND NOT coalesce(g.notices @> '[{"code": "OUTPUT_REPAIRED"}]', false) AND g.error_code IS DISTINCT FROM 'INVALID_JSON'
  ORDER BY g.ended_at DESC LIMIT 200
) of_model
GROUP BY m.key HAVING count(*) >= 8
"""

_POLICY = "SELECT context_policy FROM conversations WHERE id = $1"

_KEEP = """
UPDATE generations SET context = $3, estimated_input_tokens = $4 WHERE id = $1 AND attempt = $2 AND ended_at IS NULL
"""


class SqlWindows:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def past(self, owner: UserId, newest: MessageId, tokenizer: str, *, skip: int, limit: int) -> list[Past]:
        rows = await self._database.fetch(_PAST, owner, newest, skip, limit, tokenizer)
        return [
            Past(
                MessageId(row["id"]),
                row["depth"],
                MessageRole(row["role"]),
                row["text"],
                row["tokens"],
                row["begun_at"],
                bool(row["unfinished"]),
            )
            for row in rows
        ]

    async def policy(self, conversation_id: ConversationId) -> ContextPolicy:
        row = await self._database.fetchrow(_POLICY, conversation_id)
        return to_policy(row["context_policy"] if row else None)

    async def keep(self, generation: Generation, report: ContextReport) -> None:
        estimate = report.estimated_input_tokens
        await self._database.execute(_KEEP, generation.id, generation.attempt, context_json(report), estimate)

    async def ratios(self, models: Sequence[ModelKey]) -> dict[ModelKey, float]:
        return {ModelKey(row["key"]): row["ratio"] for row in await self._database.fetch(_RATIOS, models)}
