"""Whatever happens at once and in whatever order: as many as a limit says, and every record says the same in the end."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

import asyncpg
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from domain.generation.entity import Ending, FinishReason, Generation, GenerationStatus
from domain.generation.log import Append, NewText, StopRequest
from domain.ledger import DateRange
from domain.model import Usage, UsageSource
from domain.plan import Plan
from domain.quota.limit import QuotaMetric, QuotaWindow
from domain.world import NodeId
from repositories.database import Database, open_database
from repositories.ledger.store import SqlLedger
from tests.repositories.admitting import CASES, MOST, ONE, SHARED, Customer, claim, limit_for
from tests.repositories.racing import STARTING_GUN, raced
from tests.repositories.story import LEASE, WORLD


@pytest.mark.parametrize(("tries", "rounds"), [(20, 1), pytest.param(100, 20, marks=pytest.mark.prove)])
async def test_of_many_sends_at_once_in_two_processes_exactly_as_many_as_the_limit_says_are_admitted(
    database: Database, database_url: str, tries: int, rounds: int
) -> None:
    customers = [await limited(database, *case) for _ in range(rounds) for case in CASES]
    admitted = await admitted_in_two_processes(database, database_url, tries, [[each] for each in customers])
    for customer, case, [count] in zip(customers, CASES * rounds, admitted, strict=True):
        await check_admitted(customer, case[1], count)
    await check_whole(database)


@pytest.mark.parametrize(("tries", "rounds"), [(8, 1), pytest.param(34, 20, marks=pytest.mark.prove)])
@pytest.mark.parametrize("own", [5, 2])
async def test_guests_of_one_address_are_held_to_its_limit_and_each_to_his_own(
    database: Database, database_url: str, tries: int, rounds: int, own: int
) -> None:
    """With a limit of five each, three guests would take more than their address has; with two each they cannot."""
    groups = [
        await guests(database, plan, case, own) for _ in range(rounds) for plan, case in zip(SHARED, CASES, strict=True)
    ]
    admitted = await admitted_in_two_processes(database, database_url, tries, groups)
    for group, (_, window), counts in zip(groups, CASES * rounds, admitted, strict=True):
        await check_guests(database, group, window, counts, own)
    await check_whole(database)


async def admitted_in_two_processes(
    database: Database, database_url: str, tries: int, groups: list[list[Customer]]
) -> list[list[int]]:
    """How many sends of each customer were admitted; those of a group are tried at once, and the groups in turn."""
    told = [",".join(str(customer.story.owner) for customer in group) for group in groups]
    gun = await asyncpg.connect(database_url)
    await gun.execute("SELECT pg_advisory_lock($1)", STARTING_GUN)
    racing = asyncio.ensure_future(raced(*[("admit", database_url, tries, *told)] * 2, seconds=10 + 6 * len(groups)))
    while len(await database.fetch("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")) < 2:
        await asyncio.sleep(0.01)
    await gun.close()
    one, other = [[list(map(int, counts.split(","))) for counts in answer.split()] for answer in await racing]
    return [[a + b for a, b in zip(here, there, strict=True)] for here, there in zip(one, other, strict=True)]


async def guests(database: Database, plan: Plan, case: tuple[QuotaMetric, QuotaWindow], own: int) -> list[Customer]:
    address = WORLD.new_id().bytes * 2
    found = [await Customer.guest(database, address, plan) for _ in range(3)]
    for guest in found:
        await guest.limit(*case, limit_for(case[0], own))
    return found


async def check_guests(
    database: Database, group: list[Customer], window: QuotaWindow, counts: list[int], own: int
) -> None:
    for guest, count in zip(group, counts, strict=True):
        await check_counted(database, guest.payer.subject, window, own if own * 3 < MOST else None, count)
    await check_counted(database, group[0].payer.address, window, min(MOST, own * 3), sum(counts))


async def check_counted(
    database: Database, subject: UUID | None, window: QuotaWindow, most: int | None, admitted: int
) -> None:
    """`most`: what a window has let through, where that is known."""
    sql = "SELECT * FROM quota_windows WHERE subject_id = $1 AND span = $2"
    counted = await database.fetch(sql, subject, window.value)
    # A window may turn meanwhile: then each of the two lets as many through.
    assert most is None or max(row["messages"] for row in counted) == most
    assert sum(row["messages"] for row in counted) == admitted
    assert sum(row["tokens_reserved"] for row in counted) == admitted * ONE.tokens
    assert sum(row["running"] for row in counted) == admitted


async def limited(database: Database, metric: QuotaMetric, window: QuotaWindow) -> Customer:
    customer = await Customer.begun(database)
    await customer.limit(metric, window, limit_for(metric, MOST))
    return customer


async def check_admitted(customer: Customer, window: QuotaWindow, admitted: int) -> None:
    await check_counted(customer.story.database, customer.payer.subject, window, MOST, admitted)
    runs = await customer.story.database.fetch("SELECT 1 FROM generations WHERE owner_id = $1", customer.story.owner)
    assert len(runs) == admitted


async def check_whole(database: Database) -> None:
    now = datetime.now(UTC)
    verified = await SqlLedger(database).verify(DateRange(now - timedelta(days=31), now + timedelta(hours=1)), 100)
    assert verified.mismatches == ()


@dataclass
class History:
    """What a random history did, and what is still being written."""

    customers: list[Customer]
    chance: Random
    running: list[tuple[Customer, Generation]] = field(default_factory=list)
    zombies: list[tuple[Customer, Generation]] = field(default_factory=list)
    admitted: int = 0

    async def step(self, step: str) -> None:
        if step == "send":
            await self._send()
        elif self.running:
            at = self.chance.randrange(len(self.running))
            await getattr(self, f"_{step}")(at)

    async def _send(self) -> None:
        customer = self.chance.choice(self.customers)
        tokens = self.chance.randint(1, 100)
        run = await customer.send(claim(tokens, Decimal(tokens) * Decimal("0.002")))
        if run is not None:
            self.admitted += 1
            self.running.append((customer, run))

    async def _write(self, at: int) -> None:
        customer, run = self.running[at]
        delta = NewText("word ", run.last_seq, tokens=1)
        if run.produced_tokens + 1 < run.reserved_tokens:
            await customer.story.log.append([Append(run.id, run.attempt, run.last_seq, (delta,))])
            self.running[at] = customer, await customer.story.generation(run.id)

    async def _finish(self, at: int) -> None:
        """Reported: any part of what was held, nothing too."""
        customer, run = self.running.pop(at)
        tokens_in = self.chance.randint(0, run.reserved_tokens)
        tokens_out = self.chance.randint(0, run.reserved_tokens - tokens_in)
        usage = self.chance.choice([None, Usage(tokens_in, tokens_out, UsageSource.PROVIDER)])
        await end(customer, run, Ending(GenerationStatus.COMPLETED, FinishReason.STOP, "", usage))

    async def _stop(self, at: int) -> None:
        customer, run = self.running.pop(at)
        await customer.story.log.ask_to_stop(customer.story.owner, run.id, StopRequest(None))
        await end(customer, run, Ending(GenerationStatus.COMPLETED, FinishReason.STOP, "", partial(run)))

    async def _crash(self, at: int) -> None:
        """Its process dies; another one finds it. The dead one may revive later."""
        customer, run = self.running.pop(at)
        story = customer.story
        await story.database.execute(
            "UPDATE generations SET lease_until = now() - interval '1 hour' WHERE id = $1", run.id
        )
        taken = await story.log.take(run.id, NodeId(WORLD.new_id()), LEASE, own=False)
        assert taken is not None
        self.zombies.append((customer, run))
        if taken.generation.delivered:
            lost = Ending(GenerationStatus.INTERRUPTED, FinishReason.SERVER_LOST, "", partial(taken.generation))
            await end(customer, taken.generation, lost)
        else:
            self.running.append((customer, taken.generation))

    async def _stretch(self, at: int) -> None:
        """Its context has grown."""
        customer, run = self.running[at]
        more = run.reserved_tokens + self.chance.randint(1, 50)
        payer = customer.payer
        await customer.admission.stretch(
            run.id, payer.user.id, payer.key_id, claim(more, Decimal(more) * Decimal("0.002"))
        )
        self.running[at] = customer, await customer.story.generation(run.id)

    async def _revive(self, at: int) -> None:
        """Who was taken for dead ends its run, too, and cannot."""
        for customer, run in self.zombies:
            await end(customer, run, Ending(GenerationStatus.COMPLETED, FinishReason.STOP, "", partial(run)))

    async def close(self) -> None:
        while self.running:
            await self._finish(0)
        await self._revive(0)


def partial(run: Generation) -> Usage:
    return Usage(0, run.produced_tokens, UsageSource.PARTIAL)


async def end(customer: Customer, run: Generation, ending: Ending) -> None:
    """As whoever ends a run does it: as the stop that was recorded before, if there was one; and once more."""
    usage, log = ending.usage, customer.story.log
    price = run.prices[0] if run.prices else None
    cost = None
    if usage is not None and price is not None:
        of_input, of_output = (
            usage.input_tokens * price.input_per_million,
            usage.output_tokens * price.output_per_million,
        )
        cost = (of_input + of_output) / 1_000_000
    for _ in range(2):
        ended = await log.finish(run, ending, cost, previous=run.last_seq, cut_to=None)
        if ended.stop is not None:
            ending = replace(ending, status=GenerationStatus.STOPPED, finish_reason=ended.stop.reason)


STEPS = st.sampled_from(["send"] * 4 + ["write"] * 3 + ["finish"] * 2 + ["stop", "crash", "stretch", "revive"])
HISTORIES = st.tuples(st.lists(STEPS, max_size=40), st.integers(0, 2**32))
AT_ONCE = 5
TOLD_EVERY = 500
BUDGETS = {
    (QuotaMetric.TOKENS, QuotaWindow.DAY): Decimal(1000),
    (QuotaMetric.COST, QuotaWindow.MONTH): Decimal("1.5"),
    (QuotaMetric.CONCURRENT_GENERATIONS, QuotaWindow.INSTANT): Decimal(5),
}


@pytest.mark.parametrize("histories", [25, pytest.param(10_000, marks=pytest.mark.prove)])
def test_after_any_history_nothing_is_held_no_budget_is_overspent_and_all_records_agree(
    database_url: str, histories: int, tell: Callable[[str], None]
) -> None:
    followed = itertools.count(AT_ONCE, AT_ONCE)

    @settings(max_examples=histories // AT_ONCE, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(told=st.lists(HISTORIES, min_size=AT_ONCE, max_size=AT_ONCE))
    def check(told: list[tuple[list[str], int]]) -> None:
        loop.run_until_complete(follow_all(database, told))
        if (so_far := next(followed)) % TOLD_EVERY == 0:
            tell(f"{so_far} histories")

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        opening = open_database(database_url, 10)
        database = loop.run_until_complete(opening.__aenter__())
        try:
            check()
        finally:
            loop.run_until_complete(opening.__aexit__(None, None, None))


async def follow_all(database: Database, told: list[tuple[list[str], int]]) -> None:
    async with asyncio.TaskGroup() as following:
        for steps, seed in told:
            following.create_task(follow(database, steps, seed))


async def follow(database: Database, steps: list[str], seed: int) -> None:
    customers = [await Customer.begun(database) for _ in range(2)]
    for (metric, window), hard in BUDGETS.items():
        await customers[0].limit(metric, window, hard)
    history = History(customers, Random(seed))
    for step in steps:
        await history.step(step)
    await history.close()
    for customer in customers:
        await check_settled(customer)
    await check_budgets(customers[0])


async def check_budgets(customer: Customer) -> None:
    sql = "SELECT * FROM quota_windows WHERE subject_id = $1 AND span = $2"
    for (metric, window), hard in BUDGETS.items():
        for row in await customer.story.database.fetch(sql, customer.payer.subject, window.value):
            taken = {
                QuotaMetric.TOKENS: Decimal(row["tokens_used"]),
                QuotaMetric.COST: Decimal(row["cost_used_nano"]) / 10**9,
                QuotaMetric.CONCURRENT_GENERATIONS: Decimal(row["running"]),
            }
            assert taken[metric] <= hard


async def check_settled(customer: Customer) -> None:
    sql = "SELECT * FROM quota_windows WHERE subject_id = ANY($1)"
    counted = await customer.story.database.fetch(sql, [customer.payer.subject, customer.payer.key_id])
    assert {(row["tokens_reserved"], row["cost_reserved_nano"], row["running"]) for row in counted} <= {(0, 0, 0)}
    entered = await customer.story.database.fetch(
        "SELECT count(*), coalesce(sum(amount_nano), 0) AS cost, coalesce(sum(input_tokens + output_tokens), 0) AS tokens "
        "FROM ledger_entries WHERE account = 'user:' || $1::uuid",
        customer.story.owner,
    )
    # A window may turn meanwhile, and nothing of all time does.
    for row in counted:
        if row["span"] == QuotaWindow.INSTANT.value:
            assert (row["messages"], row["cost_used_nano"], row["tokens_used"]) == tuple(entered[0])
    balance = "SELECT coalesce(sum(amount_nano), 0) AS nothing FROM ledger_entries WHERE owner_id = $1"
    assert (await customer.story.database.fetch(balance, customer.story.owner))[0]["nothing"] == 0
