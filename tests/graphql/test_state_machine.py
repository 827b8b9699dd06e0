"""Anything a user may do, in any order, at two instances in one process and at once: every tree stays one."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import TypeVar, cast

import pytest
import strawberry
from hypothesis import HealthCheck, Phase
from hypothesis import settings as effort
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from litestar import Litestar

from domain.ledger import DateRange
from repositories.ledger.verify import verify
from resolvers.node import encode, uuid_of
from server.compose import Gus
from server.models_file import Catalogue
from server.settings import Settings
from tests.graphql.acts import SUCCESS, Act, Done, acts, allowed, copied, performed
from tests.graphql.flaws import changes, flaws
from tests.graphql.forest import Forest, Tree, stored
from tests.graphql.front_end import Erred, FrontEnd
from tests.graphql.process import new_user, process, served

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
    """Both processes, and what was done on them so far."""

    def __init__(self, gus: Gus, apps: tuple[Litestar, Litestar], tell: Callable[[str], None]) -> None:
        self.gus, self._apps, self._tell = gus, apps, tell
        self._loop = asyncio.get_running_loop()
        self.answered: Counter[tuple[str, str]] = Counter()

    @property
    def acts(self) -> int:
        return self.answered.total()

    def run(self, doing: Coroutine[None, None, T]) -> T:
        """From hypothesis' thread; the processes go on while it thinks."""
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(LONGEST_STEP_SECONDS)

    async def user(self) -> tuple[FrontEnd, FrontEnd]:
        """A new one, at either process."""
        secret = await new_user(self.gus, "Ada", can_manage=False)
        here, there = (FrontEnd(app, secret) for app in self._apps)
        return here, there

    def count(self, done: Done) -> None:
        self.answered[done.act.kind, done.answered] += 1
        if self.acts % 500 == 0:
            self._tell(
                f"{self.acts} acts: {sum(n for (kind, said), n in self.answered.items() if said == SUCCESS[kind])} were done"
            )


class Story(RuleBasedStateMachine):
    """One user's."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self._user = stage.run(stage.user())
        me = stage.run(self._user[0].ask("{viewer {user {id}}}"))["viewer"]["user"]["id"]
        owner = uuid_of("User", me)
        assert owner is not None
        self._owner, self._forest = owner, Forest({})
        self._told: list[str] = []

    @rule(act=acts())
    def one(self, act: Act) -> None:
        done = self._stage.run(self._perform(act))
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

    @rule(several=st.lists(acts(), min_size=2, max_size=5))
    def at_once(self, several: list[Act]) -> None:
        answered = self._stage.run(self._perform_all(several))
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

    async def _perform(self, act: Act) -> Done | None:
        try:
            done = await performed(act, self._user[act.elsewhere], self._forest)
        except Erred as erred:
            # Its conversation was deleted after it was done, and before it was told.
            if erred.codes != ["UNAVAILABLE"]:
                raise
            return None
        if done is not None:
            self._stage.count(done)
        self._told.append(f"{act} {done.answered if done else 'of nothing'}")
        return done

    async def _perform_all(self, several: list[Act]) -> list[Done | None]:
        return await asyncio.gather(*map(self._perform, several))

    def _look_again(self) -> None:
        before, self._forest = self._forest, self._stage.run(stored(self._stage.gus.database, self._owner))
        wrong = changes(before, self._forest) + flaws(self._forest)
        # What happened at once happens another way when hypothesis tries again: this is all there is to go by.
        assert wrong == [], "\n".join([*self._told, *wrong])

    async def _read(self, tree: Tree) -> None:
        """As a front end does: what is read of a leaf is the one path that leads to it."""
        leaf = tree.leaves[self._stage.acts % len(tree.leaves)] if tree.leaves else None
        path, families = tree.path(leaf) if leaf else [], tree.families
        asked = {"id": encode("Conversation", tree.conversation.id), "leaf": leaf and encode("Message", leaf.id)}
        found = (await self._user[1].ask(READ, **asked))["conversation"]
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
        while unfinished := (await stored(self._stage.gus.database, self._owner)).unfinished:
            for run in unfinished:
                await self._user[0].stop(encode("Generation", run.id))
            await asyncio.sleep(0.01)


@pytest.fixture
async def apps(
    gus: Gus, app: Litestar, database_url: str, settings: Settings, catalogue: Catalogue, built: strawberry.Schema
) -> AsyncIterator[tuple[Litestar, Litestar]]:
    async with process(database_url, settings, catalogue) as other:
        yield app, served(other, built)


# The processes draw their own chance while hypothesis, in its thread, draws an act.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize("steps", [300, pytest.param(10_000, marks=pytest.mark.prove)])
async def test_whatever_is_done_every_tree_stays_one(
    gus: Gus, apps: tuple[Litestar, Litestar], steps: int, capfd: pytest.CaptureFixture[str]
) -> None:
    def tell(progress: str) -> None:
        with capfd.disabled():
            print(f"\n{progress}", end="", flush=True)

    stage = Stage(gus, apps, tell)
    # About two acts to a step, as some are done at once.
    stories = effort(
        max_examples=-(-steps // STEPS_IN_A_STORY),
        stateful_step_count=STEPS_IN_A_STORY,
        phases=[Phase.generate],
        derandomize=steps < 1_000,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    made = cast(type[RuleBasedStateMachine], lambda: Story(stage))
    await asyncio.to_thread(run_state_machine_as_test, made, settings=stories)
    tell(f"{stage.acts} acts: {dict(sorted(stage.answered.items()))}")
    today = datetime.now(UTC)
    ledger = await verify(gus.database, DateRange(today - timedelta(days=1), today + timedelta(days=1)), most=100)
    assert (ledger.mismatches, ledger.checked_entries > 0) == ((), True)
    assert stage.acts >= steps
    assert {kind for kind, said in stage.answered if said == SUCCESS[kind]} == set(SUCCESS)
