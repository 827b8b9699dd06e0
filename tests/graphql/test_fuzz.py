"""Whatever is asked within the schema, by whoever: no 5xx, no error that is a bug, no answer that contradicts its type."""

import asyncio
import json
import time
from collections import Counter
from itertools import count
from typing import Any

import pytest
import strawberry
from graphql import GraphQLSchema, OperationType, build_schema, parse
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from litestar import Litestar

from domain.user import Role
from server.compose import Gus
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.generated import Operation, operations
from tests.graphql.known import Known
from tests.graphql.process import new_user
from tests.graphql.typed import flaws

LONGEST_OPERATION_SECONDS = 60
BATCH = 100
TEN_MINUTES = 600.0
ROLES = {"ada": Role.USER, "bob": Role.PREMIUM, "grace": Role.ADMIN}
GENEROUS = """
mutation($user: ID!) {
  setQuota(input: {user: $user, metric: MESSAGES, window: DAY, hardLimit: "100000", softLimit: "5"}) { __typename }
}
"""
SHOWN = """
{
  viewer {
    id user { id } quotas { id } defaultModel { id }
    conversations(first: 10) {
      pageInfo { startCursor endCursor }
      edges {
        cursor
        node {
          id
          messages(first: 20) { edges { cursor node { id generation { id context { summary { id } } } } } }
          generations(first: 20) { edges { cursor node { id } } }
        }
      }
    }
  }
}
"""


class Fuzz:
    """One batch: fresh users with some conversations, each of whom asks for what all have."""

    def __init__(self, gus: Gus, app: Litestar, schema: GraphQLSchema) -> None:
        self._gus, self._app, self.schema = gus, app, schema
        self._loop = asyncio.get_running_loop()
        self._users: dict[str, FrontEnd] = {}
        self.known = Known()
        self.told: Counter[str] = Counter()
        self.roots: Counter[str] = Counter()
        self.wrong: list[str] = []

    async def furnish(self, batch: int) -> None:
        for name, role in ROLES.items():
            self._users[name] = FrontEnd(self._app, await new_user(self._gus, name, can_manage=True, role=role))
        # So many from one address are let in on a day.
        guest = await self._gus.services.guests.start(f"192.0.2.{batch % 250}")
        self._users |= {"guest": FrontEnd(self._app, guest.token), "visitor": FrontEnd(self._app, None)}
        for name in ("ada", "bob", "guest"):
            await self._furnish(self._users[name])

    async def _furnish(self, user: FrontEnd) -> None:
        said = await user.said(script(words=3))
        await user.said("And then?", **here(said), settings={"model": "formal"})
        cut = await user.send(script(words=3, finish="length"), **here(said), parent=said["reply"]["id"])
        await user.followed(cut["generation"]["id"])
        await user.rate(said["reply"]["id"], "UP")
        await user.fork(said["reply"]["id"])
        await user.create(title="Empty", tags=["a"])
        shown = await user.ask(SHOWN)
        self.known.learn(shown)
        await self._users["grace"].ask(GENEROUS, user=shown["viewer"]["user"]["id"])

    def ask(self, who: str, operation: Operation) -> None:
        """From hypothesis' thread."""
        asked = asyncio.run_coroutine_threadsafe(self._ask(self._users[who], operation), self._loop)
        found, answer = asked.result(LONGEST_OPERATION_SECONDS)
        self.roots.update(operation.roots)
        self.told.update(_told(answer))
        self.known.learn(answer)
        if found:
            self.wrong.append(f"{found}\n{who}: {operation.document}\n{json.dumps(operation.variables)}")

    async def _ask(self, user: FrontEnd, operation: Operation) -> tuple[list[str], dict[str, Any] | None]:
        # A visitor's stream is refused before it is one.
        if operation.kind is OperationType.SUBSCRIPTION and user is not self._users["visitor"]:
            answer = await user.first(operation.document, **operation.variables)
        else:
            response = await user.response(operation.document, **operation.variables)
            if response.status_code >= 500:
                return [f"{response.status_code}: {response.text}"], None
            answer = response.json()
        return ([] if answer is None else flaws(self.schema, parse(operation.document), answer)), answer


def _told(answer: dict[str, Any] | None) -> list[str]:
    if answer is None:
        return ["no event"]
    return [error["extensions"]["code"] for error in answer.get("errors", ())] or ["data"]


def run(fuzz: Fuzz, examples: int, *, derandomize: bool) -> None:
    @effort(
        max_examples=examples,
        # What is wrong is noted with its document: the data has changed by the time of another try.
        phases=[Phase.generate],
        derandomize=derandomize,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        who=st.sampled_from(["ada", "ada", "ada", "bob", "grace", "guest", "visitor"]),
        operation=operations(fuzz.schema, fuzz.known),
    )
    def ask(who: str, operation: Operation) -> None:
        fuzz.ask(who, operation)

    ask()


# The processes draw their own chance while hypothesis, in its thread, draws an operation.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize("seconds", [0.0, pytest.param(TEN_MINUTES, marks=pytest.mark.prove)])
async def test_no_operation_is_answered_wrongly(
    gus: Gus, app: Litestar, built: strawberry.Schema, seconds: float, capfd: pytest.CaptureFixture[str]
) -> None:
    until, told, roots, wrong = time.monotonic() + seconds, Counter[str](), Counter[str](), list[str]()
    for batch in count():
        fuzz = Fuzz(gus, app, built._schema)
        await fuzz.furnish(batch)
        await asyncio.to_thread(run, fuzz, BATCH, derandomize=not seconds)
        told, roots, wrong = told + fuzz.told, roots + fuzz.roots, wrong + fuzz.wrong
        with capfd.disabled():
            print(f"\n{roots.total()} root fields: {dict(told.most_common())}", end="", flush=True)
        if time.monotonic() >= until or len(wrong) > 20:
            break
    assert wrong == [], "\n\n".join(wrong)
    assert await gus.database.fetch("SELECT id FROM generations WHERE error_code = 'INTERNAL'") == []
    assert told["data"] >= told.total() / 3


TOY = build_schema(
    """
    scalar DateTime scalar Decimal scalar Long
    enum Colour { RED }
    type A { at: DateTime cost: Decimal many: Long few: Int }
    type B { colour: Colour! }
    union Either = A | B
    type Query { each: [Either!]! }
    """
)
ASKED = parse("{ each { __typename ... on A { at cost many few } ... on B { colour @skip(if: false) } } }")
GOOD = {"__typename": "A", "at": "2026-01-31T12:00:00.000Z", "cost": "0.00042", "many": 2**53 - 1, "few": None}


def test_an_answer_of_its_types_is_let_pass() -> None:
    assert flaws(TOY, ASKED, {"data": {"each": [GOOD, {"__typename": "B", "colour": "RED"}]}}) == []


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {"__typename": "C"},
        {"__typename": "B", "colour": None},
        {"__typename": "B", "colour": "GREEN"},
        {"__typename": "B"},
        {**GOOD, "at": "2026-01-31T12:00:00Z"},
        {**GOOD, "cost": "1E+2"},
        {**GOOD, "cost": "1.50"},
        {**GOOD, "many": 2**53},
        {**GOOD, "few": 2**31},
        {**GOOD, "few": True},
        {**GOOD, "more": 1},
    ],
)
def test_an_answer_against_its_types_is_found(wrong: object) -> None:
    assert len(flaws(TOY, ASKED, {"data": {"each": [wrong]}})) >= 1


@pytest.mark.parametrize(
    ("code", "message"),
    [("INTERNAL", "Internal error."), ("NEW", "New."), ("NOT_FOUND", "asyncpg.DataError"), (None, "Oh.")],
)
def test_an_error_that_is_a_bug_is_found(code: str | None, message: str) -> None:
    assert len(flaws(TOY, ASKED, {"errors": [{"message": message, "extensions": {"code": code}}]})) == 1


def test_neither_data_nor_errors_is_found() -> None:
    assert flaws(TOY, ASKED, {"data": None}) == ["neither data nor errors"]
