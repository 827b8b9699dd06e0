"""Anything a user may do, in any order, at two processes and at once: every tree stays one."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar, cast
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as effort
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from domain.ledger import DateRange
from domain.user import Role, Users
from domain.world import RealWorld, UserId
from repositories.database import Database
from repositories.ledger.verify import verify
from repositories.user import SqlUsers
from resolvers.node import encode, uuid_of
from tests.graphql.acts import SUCCESS, Act, Done, acts, allowed, copied, performed
from tests.graphql.flaws import changes, flaws
from tests.graphql.forest import Forest, Tree, stored
from tests.graphql.front_end import Erred, FrontEnd
from tests.graphql.pair import complaints, started

T = TypeVar("T")

STEPS_IN_A_STORY = 40
LONGEST_STEP_SECONDS = 60
# What is answered to acts at once may have been overtaken.
OVERTAKEN = {
    "NotFound",
    "ConversationBusy",
    "ConversationClosed",
    "NotContinuable",
    "IllegalTransition",
    "InvalidInput",
}

READ = """
query($id: ID!, $leaf: ID) {
  conversation(id: $id) {
    messageCount rootCount activeLeaf { id }
    path(leaf: $leaf, first: 100) { nodes { id depth siblingIndex siblingCount } }
    leaves(first: 100) { nodes { id } }
  }
}
"""


class Stage:
    """Both processes, as front ends reach them, the database that they share, and what was done so far."""

    def __init__(
        self, database: Database, users: Users, clients: list[httpx.AsyncClient], tell: Callable[[str], None]
    ) -> None:
        self.database, self._users, self._clients, self.tell = database, users, clients, tell
        self._loop = asyncio.get_running_loop()
        self.answered: Counter[tuple[str, str]] = Counter()
        self.steps = 0

    @property
    def acts(self) -> int:
        return self.answered.total()

    def run(self, doing: Coroutine[None, None, T]) -> T:
        """From hypothesis' thread."""
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(LONGEST_STEP_SECONDS)

    async def user(self) -> tuple[UserId, list[FrontEnd]]:
        """A new one, at either process."""
        user = await self._users.create_user("Ada", Role.USER)
        secret = (await self._users.issue_key(user.id, "first", can_manage=False)).secret
        return user.id, [FrontEnd(client, secret) for client in self._clients]

    def count(self, done: Done) -> None:
        self.answered[done.act.kind, done.answered] += 1
        if self.acts % 500 == 0:
            succeeded = sum(n for (kind, said), n in self.answered.items() if said == SUCCESS[kind])
            self.tell(f"{self.steps} steps, {self.acts} acts: {succeeded} were done")


class Story(RuleBasedStateMachine):
    """One user's."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self._owner, self._user = stage.run(stage.user())
        self._forest = Forest({})
        self._told: list[str] = []

    @rule(act=acts())
    def one(self, act: Act) -> None:
        self._stage.steps += 1
        done = self._stage.run(self._perform(act, self._forest))
        self._look_again()
        if done is None:
            return
        assert done.answered in allowed(done), done
        if done.succeeded and act.kind == "fork":
            fork = self._forest.trees[str(uuid_of("Conversation", done.answer["conversation"]["id"]))]
            assert (len(fork.messages), fork.runs) == (copied(done), ())
        if done.succeeded and act.kind == "delete":
            assert done.tree is not None
            assert done.tree.conversation.id not in self._forest.trees

    @rule(several=st.lists(acts(), min_size=2, max_size=5), place=st.none() | st.integers(0, 10_000))
    def at_once(self, several: list[Act], place: int | None) -> None:
        """In turns to one process and the other; anywhere, or all at one leaf."""
        self._stage.steps += 1
        here = several[0].elsewhere
        several = [replace(act, elsewhere=here ^ bool(number % 2)) for number, act in enumerate(several)]
        forest = self._forest if place is None else self._forest.at_one_leaf(place)
        answered = self._stage.run(self._perform_all(several, forest))
        self._look_again()
        for done in answered:
            assert done is None or done.succeeded or done.answered in OVERTAKEN, done

    @invariant()
    def all_is_well(self) -> None:
        for tree in list(self._forest.trees.values())[:2]:
            self._stage.run(self._read(tree))

    def teardown(self) -> None:
        """What hangs is stopped, and then everything has ended and been billed."""
        self._stage.run(self._rest())
        self._look_again()

    async def _perform(self, act: Act, forest: Forest) -> Done | None:
        try:
            done = await performed(act, self._user[act.elsewhere], forest)
        except Erred as erred:
            # Its conversation was deleted after it was done, and before it was told.
            if erred.codes != ["UNAVAILABLE"]:
                raise
            return None
        if done is not None:
            self._stage.count(done)
        self._told.append(f"{act} {done.answered if done else 'of nothing'}")
        return done

    async def _perform_all(self, several: list[Act], forest: Forest) -> list[Done | None]:
        return await asyncio.gather(*(self._perform(act, forest) for act in several))

    def _look_again(self) -> None:
        before, self._forest = self._forest, self._stage.run(stored(self._stage.database, self._owner))
        wrong = changes(before, self._forest) + flaws(self._forest)
        # What happened at once happens another way when hypothesis tries again: this is all there is to go by.
        assert wrong == [], "\n".join([*self._told, *wrong])

    async def _read(self, tree: Tree) -> None:
        """As a front end does: what is read of a leaf is the one path that leads to it."""
        leaf = tree.leaves[self._stage.acts % len(tree.leaves)] if tree.leaves else None
        path, families = tree.path(leaf) if leaf else [], tree.families
        asked = {"id": encode("Conversation", tree.conversation.id), "leaf": leaf and encode("Message", leaf.id)}
        found = (await self._user[self._stage.steps % 2].ask(READ, **asked))["conversation"]
        assert (found["messageCount"], found["rootCount"]) == (len(tree.messages), len(families.get(None, [])))
        assert found["path"]["nodes"] == [
            {
                "id": encode("Message", message.id),
                "depth": message.depth,
                "siblingIndex": message.sibling_index,
                "siblingCount": len(families[message.parent_id]),
            }
            for message in path[:100]
        ]
        latest = sorted(tree.leaves, key=lambda leaf: leaf.number, reverse=True)
        assert found["leaves"]["nodes"] == [{"id": encode("Message", leaf.id)} for leaf in latest[:100]]

    async def _rest(self) -> None:
        while unfinished := (await stored(self._stage.database, self._owner)).unfinished:
            for run in unfinished:
                await self._user[0].stop(encode("Generation", run.id))
            await asyncio.sleep(0.01)


@pytest.fixture
async def stage(
    database_url: str, database: Database, tmp_path: Path, tell: Callable[[str], None]
) -> AsyncIterator[Stage]:
    secret_key = uuid4().hex
    async with AsyncExitStack() as stack:
        pair = stack.enter_context(started(database_url, secret_key, tmp_path))
        clients = [await stack.enter_async_context(httpx.AsyncClient(base_url=each.origin)) for each in pair]
        yield Stage(database, Users(SqlUsers(database), RealWorld(), secret_key), clients, tell)
        assert complaints(pair) == []


# Their connections draw their own chance while hypothesis, in its thread, draws an act.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize("steps", [300, pytest.param(10_000, marks=pytest.mark.prove)])
async def test_whatever_is_done_every_tree_stays_one(stage: Stage, steps: int) -> None:
    made = cast(type[RuleBasedStateMachine], lambda: Story(stage))
    while stage.steps < steps:  # some stories are shorter than they may be
        stories = -(-(steps - stage.steps) // STEPS_IN_A_STORY)
        await asyncio.to_thread(run_state_machine_as_test, made, settings=told(stories, derandomize=steps < 1_000))
    stage.tell(f"{stage.steps} steps, {stage.acts} acts: {dict(sorted(stage.answered.items()))}")
    today = datetime.now(UTC)
    ledger = await verify(stage.database, DateRange(today - timedelta(days=1), today + timedelta(days=1)), most=100)
    assert (ledger.mismatches, ledger.checked_entries > 0) == ((), True)
    assert {kind for kind, said in stage.answered if said == SUCCESS[kind]} == set(SUCCESS)
    assert len(await stage.database.fetch("SELECT DISTINCT node FROM generations WHERE node IS NOT NULL")) == 2


def told(stories: int, *, derandomize: bool) -> effort:
    return effort(
        max_examples=stories,
        stateful_step_count=STEPS_IN_A_STORY,
        phases=[Phase.generate],
        derandomize=derandomize,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
