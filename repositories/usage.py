"""The domain's CallLog: calls of models besides replies, and whether a model's server has room for one."""

from decimal import Decimal

from domain.background import LONGEST_CALL
from domain.generation.log import Line
from domain.model import Usage
from domain.usage import ModelCall
from repositories.database import Database, Session
from repositories.ledger.entry import CALL_ENTERED, used
from repositories.money import nano

# A process that dies leaves its calls without an end: they hold no slot for longer than any call takes.
_LOAD = """
SELECT (SELECT count(*) FROM generations WHERE line = $1 AND ended_at IS NULL)
  + (SELECT count(*) FROM generations WHERE status = 'QUEUED' AND model_key = ANY($2))
  + (SELECT count(*) FROM model_calls WHERE line = $1 AND ended_at IS NULL AND started_at > now() - $3::interval)
  AS load
"""

# Only calls take this lock: a run that claims its slot waits for none of them.
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"

_BEGIN = """
INSERT INTO model_calls (id, owner_id, conversation_id, purpose, model_key, line, started_at)
VALUES ($1, $2, $3, $4, $5, $6, now())
"""

_END = f"""
WITH ended AS (
  UPDATE model_calls SET ended_at = greatest(now(), started_at), input_tokens = $2, output_tokens = $3,
    cached_input_tokens = $4, reasoning_tokens = $5, usage_source = $6, cost_nano = $7
  WHERE id = $1 AND ended_at IS NULL RETURNING *
), {CALL_ENTERED}
UPDATE conversations c SET {used("ended.usage_source IS NULL")} FROM ended WHERE c.id = ended.conversation_id
"""


class SqlCalls:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, call: ModelCall, line: Line | None) -> bool:
        async with self._database.transaction() as session:
            if line is not None and line.capacity is not None:
                await session.fetch(_ONE_AT_A_TIME, f"calls {line.name}")
                if await _load(session, line) >= line.capacity:
                    return False
            await session.execute(
                _BEGIN,
                call.id,
                call.owner_id,
                call.conversation_id,
                call.purpose.value,
                call.model_key,
                line.name if line else None,
            )
        return True

    async def end(self, call: ModelCall, usage: Usage | None, cost: Decimal | None) -> None:
        counted = (
            (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.reasoning_tokens)
            if usage
            else (None,) * 4
        )
        await self._database.execute(_END, call.id, *counted, usage.source.value if usage else None, nano(cost))

    async def is_crowded(self, line: Line) -> bool:
        async with self._database.session() as session:
            return line.capacity is not None and await _load(session, line) > line.capacity


async def _load(session: Session, line: Line) -> int:
    [row] = await session.fetch(_LOAD, line.name, line.models, LONGEST_CALL)
    return int(row["load"])
