"""What limits add to a send: `python -m tests.load.admission`.

A PostgreSQL whose commits are on the disk. The two ways take turns, so that whatever else the machine does falls on both.
"""

import asyncio
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import schema
from domain.quota.admission import Admission, Admitted, Counting
from domain.quota.claim import Claim
from domain.quota.counter import Override, Payer
from domain.quota.limit import PlanLimit, QuotaMetric, QuotaScope, QuotaWindow
from providers.openai import ServerConfig
from repositories.database import Database
from repositories.migrate import migrate
from repositories.quota.store import SqlQuotas
from server.compose import Gus
from server.models_file import Catalogue
from server.settings import Settings
from tests.graphql.front_end import FrontEnd, script
from tests.graphql.models import MODELS, PROVIDERS
from tests.graphql.process import new_user, process, served
from tests.load.systems import durable_postgres
from tests.model_server import ModelServer

ROUNDS = 300
AT_ONCE = 8

LEAN = "mutation($input: SendMessageInput!) {sendMessage(input: $input) {... on SendMessageSuccess {generation {id}}}}"


class _Nobody(Payer):
    @property
    def subject(self) -> Any:
        """Nobody has no counters."""
        return None


class NothingCounted(Admission):
    """What sends would cost without limits."""

    async def admit(self, counting: Counting, payer: Payer, claim: Claim) -> Admitted:
        await counting.reserve(_Nobody(payer.user, None, payer.plan), claim)
        return Admitted(payer, claim)


async def main() -> None:
    with durable_postgres() as (url, _), TemporaryDirectory() as folder:
        await migrate(url)
        settings = Settings(data_dir=Path(folder), secret_key="0123456789abcdef" * 2, grace_seconds=0, titles="off")
        async with ModelServer() as model:
            servers = tuple(ServerConfig(name=name, base_url=model.base_url) for name in PROVIDERS)
            async with process(url, settings, Catalogue(MODELS, servers)) as gus:
                await _measure(gus)


async def _measure(gus: Gus) -> None:
    users = [await _user(gus, f"{number}") for number in range(AT_ONCE)]
    await _limit(gus.database)
    counted, sends = gus.services.sends._admission, gus.services.sends
    free = NothingCounted(counted._store, counted._users, counted._templates)

    async def round_of(admission: Admission, asking: Sequence[FrontEnd]) -> float:
        sends._admission = admission
        times = await asyncio.gather(*(_send(user) for user in asking))
        return sum(times) / len(times)

    print("| `sendMessage`, to its answer | without limits, ms | with five limits, ms | ratio |")
    print("| --- | --- | --- | --- |")
    for name, asking in (("one user", users[:1]), (f"{AT_ONCE} users at once", users)):
        off, on = [], []
        for _ in range(ROUNDS):
            off.append(await round_of(free, asking))
            on.append(await round_of(counted, asking))
        print(f"| {name} | {median(off):.2f} | {median(on):.2f} | {median(on) / median(off):.2f} |")


async def _user(gus: Gus, name: str) -> FrontEnd:
    return FrontEnd(served(gus, schema.build()), await new_user(gus, name, can_manage=False))


async def _limit(database: Database) -> None:
    limits = [
        *(
            PlanLimit(QuotaMetric.MESSAGES, window, hard=Decimal(10**6))
            for window in (QuotaWindow.MINUTE, QuotaWindow.DAY)
        ),
        PlanLimit(QuotaMetric.TOKENS, QuotaWindow.HOUR, hard=Decimal(10**9)),
        PlanLimit(QuotaMetric.COST, QuotaWindow.MONTH, Decimal(10**5), Decimal(10**6)),
        PlanLimit(QuotaMetric.CONCURRENT_GENERATIONS, QuotaWindow.INSTANT, hard=Decimal(1000)),
    ]
    for limit in limits:
        [anybody] = await database.fetch("SELECT id FROM users LIMIT 1")
        await SqlQuotas(database).set(Override(QuotaScope.PLAN, "unlimited", limit), anybody["id"])


async def _send(user: FrontEnd) -> float:
    """Milliseconds. Its reply ends before the next one is sent."""
    given = {"text": script(words=1, first_delay_ms=50), "idempotencyKey": f"{time.perf_counter_ns()}-{id(user)}"}
    began = time.perf_counter()
    sent = await user.ask(LEAN, input=given)
    took = (time.perf_counter() - began) * 1000
    await user.followed(sent["sendMessage"]["generation"]["id"])
    return took


if __name__ == "__main__":
    asyncio.run(main())
