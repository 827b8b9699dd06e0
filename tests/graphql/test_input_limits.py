"""The limits that a composer is told are those that refuse."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.graphql.documents import SET_INSTRUCTION
from tests.graphql.front_end import FrontEnd, script

LIMITS = """
{viewer {inputLimits {
  textLength titleLength instructionLength tags tagLength commentLength stopSequences stopLength idempotencyKeyLength
  schemaLength
}}}
"""

Says = Callable[[FrontEnd, int], Awaitable[dict[str, Any]]]


async def _rated(ada: FrontEnd, **said: object) -> dict[str, Any]:
    return await ada.rate((await ada.said(script(words=1)))["reply"]["id"], "UP", **said)


async def _told(ada: FrontEnd, length: int) -> dict[str, Any]:
    return dict((await ada.ask(SET_INSTRUCTION, text="x" * length))["setInstruction"])


def _schema_of(length: int) -> dict[str, object]:
    return {"type": "JSON_SCHEMA", "schema": {"title": "x" * (length - len('{"title":""}'))}}


# By the limit's name, what is said at so great a length or in so great a number.
SAID: list[tuple[str, Says]] = [
    ("textLength", lambda ada, most: ada.send("x" * most)),
    ("titleLength", lambda ada, most: ada.create(title="x" * most)),
    ("instructionLength", lambda ada, most: ada.create(instruction="x" * most)),
    ("instructionLength", lambda ada, most: ada.send("Hello", instruction="x" * most)),
    ("instructionLength", _told),
    ("tags", lambda ada, most: ada.create(tags=[f"{n}" for n in range(most)])),
    ("tags", lambda ada, most: _rated(ada, tags=[f"{n}" for n in range(most)])),
    ("tagLength", lambda ada, most: ada.create(tags=["x" * most])),
    ("tagLength", lambda ada, most: _rated(ada, tags=["x" * most])),
    ("commentLength", lambda ada, most: _rated(ada, comment="x" * most)),
    ("stopSequences", lambda ada, most: ada.create(settings={"stop": [f"{n}" for n in range(most)]})),
    ("stopLength", lambda ada, most: ada.create(settings={"stop": ["x" * most]})),
    ("schemaLength", lambda ada, most: ada.create(settings={"responseFormat": _schema_of(most)})),
    ("idempotencyKeyLength", lambda ada, most: ada.create(idempotencyKey="x" * most)),
]


@pytest.mark.parametrize(("limit", "say"), SAID)
async def test_what_is_at_the_limit_is_taken_and_one_more_is_refused(ada: FrontEnd, limit: str, say: Says) -> None:
    most = (await ada.ask(LIMITS))["viewer"]["inputLimits"][limit]
    # A text of the greatest length fits no model here: it passes the limit all the same.
    assert (await say(ada, most))["__typename"] != "InvalidInput"
    refused = await say(ada, most + 1)
    assert (refused["__typename"], [problem["limit"] for problem in refused["problems"]]) == ("InvalidInput", [most])


async def test_every_limit_is_tried(ada: FrontEnd) -> None:
    assert {limit for limit, _ in SAID} == set((await ada.ask(LIMITS))["viewer"]["inputLimits"])
