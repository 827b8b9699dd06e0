"""Answers held to JSON, and to JSON schemas that users wrote."""

import asyncio
from collections import OrderedDict

from domain.response_format import ResponseFormat, SchemaProblem
from providers.json_schema.answers import answer_problem
from providers.json_schema.schemas import schema_problem

MOST_KNOWN = 128


class JsonSchemas:
    """Satisfies `domain.response_format.JsonChecker`.

    All is done in a thread, and one at a time: two would only share what the event loop leaves to them.
    """

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Semaphore()
        # Found good lately: a front end sends the same schema with each message, and checking one takes up to 0.1 s.
        self._good: OrderedDict[str, None] = OrderedDict()

    async def schema_problem(self, schema: str) -> SchemaProblem | None:
        if schema in self._good:
            self._good.move_to_end(schema)
            return None
        async with self._one_at_a_time:
            problem = await asyncio.to_thread(schema_problem, schema)
        if problem is None:
            self._good[schema] = None
            while len(self._good) > MOST_KNOWN:
                self._good.popitem(last=False)
        return problem

    async def answer_problem(self, text: str, form: ResponseFormat) -> str | None:
        if not form.is_json:
            return None
        async with self._one_at_a_time:
            return await asyncio.to_thread(answer_problem, text, form)
