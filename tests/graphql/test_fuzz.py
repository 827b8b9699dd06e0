"""Whatever is asked within the schema, by whoever: no 5xx, no error that is a bug, no answer that contradicts its type."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

import pytest
import strawberry
from graphql import GraphQLSchema, build_schema, parse
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
from tests.graphql.transports import Answer, Caller, Misbehaved, calling
from tests.graphql.typed import flaws
from tests.server.transport.toy import served as on_a_port

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
        self._callers: dict[str, Caller] = {}
        self.known = Known()
        self.told: Counter[str] = Counter()
        self.roots: Counter[str] = Counter()
        self.ways: Counter[str] = Counter()
        self.wrong: list[str] = []

    @asynccontextmanager
    async def furnished(self, batch: int) -> AsyncIterator[None]:
        secrets: dict[str, str | None] = {"visitor": None}
        for name, role in ROLES.items():
            secrets[name] = await new_user(self._gus, name, can_manage=True, role=role)
        # So many from one address are let in on a day.
        secrets["guest"] = (await self._gus.services.guests.start(f"192.0.2.{batch % 250}")).token
        admin = FrontEnd(self._app, secrets["grace"])
        for name in ("ada", "bob", "guest"):
            await self._furnish(FrontEnd(self._app, secrets[name]), admin)
        async with on_a_port(self._app) as url, AsyncExitStack() as stack:
            for name, secret in secrets.items():
                self._callers[name] = await stack.enter_async_context(calling(url, secret))
            yield

    async def _furnish(self, user: FrontEnd, admin: FrontEnd) -> None:
        said = await user.said(script(words=3))
        await user.said("And then?", **here(said), settings={"model": "formal"})
        cut = await user.send(script(words=3, finish="length"), **here(said), parent=said["reply"]["id"])
        await user.followed(cut["generation"]["id"])
        await user.rate(said["reply"]["id"], "UP")
        await user.fork(said["reply"]["id"])
        await user.create(title="Empty", tags=["a"])
        shown = await user.ask(SHOWN)
        self.known.learn(shown)
        await admin.ask(GENEROUS, user=shown["viewer"]["user"]["id"])

    def ask(self, who: str, way: str, operation: Operation) -> None:
        """From hypothesis' thread."""
        asked = asyncio.run_coroutine_threadsafe(self._ask(self._callers[who], way, operation), self._loop)
        found, answers = asked.result(LONGEST_OPERATION_SECONDS)
        self.roots.update(operation.roots)
        self.told.update(_told(answers))
        self.ways[way] += 1
        self.known.learn(answers)
        if found:
            self.wrong.append(f"{found}\n{who}, {way}: {operation.document}\n{json.dumps(operation.variables)}")

    async def _ask(self, caller: Caller, way: str, operation: Operation) -> tuple[list[str], list[Answer]]:
        try:
            answers = await caller.ways[way](operation)
        except Misbehaved as how:
            return [str(how)], []
        document = parse(operation.document)
        return [flaw for answer in answers for flaw in flaws(self.schema, document, answer)], answers


def _told(answers: list[Answer]) -> list[str]:
    codes = [error["extensions"]["code"] for answer in answers for error in answer.get("errors", ())]
    return codes or (["data"] if answers else ["no event"])


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
        way=st.sampled_from(["post", "stream", "socket"]),
        operation=operations(fuzz.schema, fuzz.known),
    )
    def ask(who: str, way: str, operation: Operation) -> None:
        fuzz.ask(who, way, operation)

    ask()


# The processes draw their own chance while hypothesis, in its thread, draws an operation.
# Who leaves a stream cancels what graphql-core has begun, and some of it is not awaited yet.
@pytest.mark.filterwarnings(
    "ignore:coroutine '(PatientExecutor|Executor|GraphQLCoreConverter).* was never awaited:RuntimeWarning"
)
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize("seconds", [0.0, pytest.param(TEN_MINUTES, marks=pytest.mark.prove)])
async def test_no_operation_is_answered_wrongly(
    gus: Gus, app: Litestar, built: strawberry.Schema, seconds: float, tell: Callable[[str], None]
) -> None:
    until, told, roots, ways, wrong = (
        time.monotonic() + seconds,
        Counter[str](),
        Counter[str](),
        Counter[str](),
        list[str](),
    )
    for batch in count():
        fuzz = Fuzz(gus, app, built._schema)
        async with fuzz.furnished(batch):
            await asyncio.to_thread(run, fuzz, BATCH, derandomize=not seconds)
        told, roots, ways, wrong = told + fuzz.told, roots + fuzz.roots, ways + fuzz.ways, wrong + fuzz.wrong
        tell(f"{roots.total()} root fields by {dict(ways)}: {dict(told.most_common())}")
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
