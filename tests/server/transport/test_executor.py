"""Long lists: they leave rounds of the event loop to everybody else, and are answered as any other."""

import asyncio
import time
from collections import Counter

import strawberry
from graphql import DocumentNode, parse
from strawberry.dataloader import DataLoader

from server.graphql.executor import LONG_LIST, PatientExecutor
from server.graphql.run import graphql_schema
from server.graphql.turns import LONGEST_TURN_SECONDS, Turns

MANY = LONG_LIST + 5


class Seen:
    """In which round of the event loop each item was resolved, and what the loader was asked at once."""

    def __init__(self) -> None:
        self.rounds, self.items, self.loads = 0, list[int](), list[int]()
        self.loader = DataLoader(self._load)

    async def _load(self, keys: list[int]) -> list[int]:
        self.loads.append(len(keys))
        return keys

    async def count_rounds(self) -> None:
        while True:
            self.rounds += 1
            await asyncio.sleep(0)


Info = strawberry.Info[Seen, None]


def odd(number: int) -> int:
    if number == 20:
        raise ValueError(number)
    return number


@strawberry.type
class Thing:
    number: int

    @strawberry.field
    def slow(self, info: Info) -> int:
        time.sleep(2 * LONGEST_TURN_SECONDS)
        info.context.items.append(info.context.rounds)
        return self.number

    @strawberry.field
    async def loaded(self, info: Info) -> int:
        return await info.context.loader.load(self.number)

    @strawberry.field
    def odd(self) -> int:
        return odd(self.number)

    @strawberry.field
    async def later(self) -> int:
        return odd(self.number)


@strawberry.type
class Query:
    @strawberry.field
    async def things(self, count: int) -> list[Thing]:
        return [Thing(number=number) for number in range(1, count + 1)]

    @strawberry.field
    async def perhaps(self, count: int) -> list[Thing | None]:
        return [Thing(number=number) for number in range(1, count + 1)]


SCHEMA = graphql_schema(strawberry.Schema(Query))


async def executed(query: str, seen: Seen | None = None) -> tuple[object, list[object]]:
    """The data, and the paths of the errors."""
    document: DocumentNode = parse(query)
    executor = PatientExecutor.build(SCHEMA, document, context_value=seen or Seen(), turns=Turns())
    assert isinstance(executor, PatientExecutor)
    result = executor.execute_operation()
    told = await result  # type: ignore[misc]  # every root field here is async
    return told.data, [error.path for error in told.errors or ()]


async def test_a_long_list_leaves_a_round_to_others_after_each_stretch() -> None:
    seen = Seen()
    counting = asyncio.create_task(seen.count_rounds())
    await executed(f"{{ a: things(count: {MANY}) {{ slow }} b: things(count: {MANY}) {{ slow }} }}", seen)
    counting.cancel()
    assert max(Counter(seen.items).values()) == 1
    assert len(seen.items) == 2 * MANY


async def test_a_loader_is_asked_once_for_all_of_a_long_list() -> None:
    seen = Seen()
    data, _ = await executed(f"{{ things(count: {MANY}) {{ number loaded }} }}", seen)
    assert data == {"things": [{"number": number, "loaded": number} for number in range(1, MANY + 1)]}
    assert seen.loads == [MANY]


async def test_what_fails_in_a_long_list_is_answered_as_in_a_short_one() -> None:
    for field in ("odd", "later"):
        for count in (LONG_LIST, MANY):
            whole, paths = await executed(f"{{ things(count: {count}) {{ {field} }} }}")
            assert (whole, paths) == (None, [["things", 19, field]])
            parts, paths = await executed(f"{{ perhaps(count: {count}) {{ {field} }} }}")
            expected = [None if number == 20 else {field: number} for number in range(1, count + 1)]
            assert (parts, paths) == ({"perhaps": expected}, [["perhaps", 19, field]])
