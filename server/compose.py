"""The composition root: every part is made here, once, and opened and closed in order."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from domain.account import Accounts
from domain.applied import AppliedPlans
from domain.catalogue import Catalogue
from domain.conversation.handover import Handovers
from domain.conversation.upkeep import Upkeep
from domain.generation.log import Line
from domain.generation.run import RunPolicy
from domain.generation.runs import Node, Runs
from domain.guest import Guests
from domain.model import Model, Models
from domain.plan import Plans
from domain.user import Users
from domain.world import UserId
from providers import ConfiguredServers
from providers.llama import PROVIDER
from repositories.account import SqlAccounts
from repositories.database import Database, QueryLogger, open_database
from repositories.guest import SqlGuests
from repositories.job.worker import JobWorker
from repositories.model import SqlModels
from repositories.notify import Notices
from repositories.plan import SqlPlans
from resolvers.context import Services
from server.identity import opened_tokens
from server.identity.own import OwnKeys
from server.models_file import Catalogue as Configured
from server.node import Worker
from server.parts import (
    People,
    Stores,
    Streams,
    made_jobs,
    made_rules,
    made_services,
    made_streams,
    made_upkeep,
    opened_stores,
)
from server.plans_file import configured_plans, read_applied
from server.settings import Settings

log = structlog.get_logger(__name__)

BROKEN = 70  # EX_SOFTWARE of sysexits.h
DEVELOPER = UserId(UUID("00000000-0000-7000-8000-000000000001"))


@dataclass(frozen=True, slots=True)
class Gus:
    """The running whole."""

    services: Services
    runs: Runs
    upkeep: Upkeep
    database: Database


@asynccontextmanager
async def composed(
    settings: Settings,
    database_url: str,
    catalogue: Configured,
    worker: Worker,
    *,
    query_logger: QueryLogger | None = None,
) -> AsyncIterator[Gus]:
    """Everything is closed in reverse: runs first, which still need their log, the database last."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(database_url, settings.database_pool, query_logger))
        servers = await stack.enter_async_context(ConfiguredServers(catalogue.servers))
        notices = Notices(settings.listen_url or database_url)
        gus = await _assemble(stack, settings, database, notices, catalogue, Models(catalogue.models, servers), worker)
        if settings.dev_key is not None:
            await gus.services.users.keep_development_key(DEVELOPER, settings.dev_key)
        yield gus


async def _assemble(
    stack: AsyncExitStack,
    settings: Settings,
    database: Database,
    notices: Notices,
    configured: Configured,
    models: Models,
    worker: Worker,
) -> Gus:
    plans = Plans(configured_plans(settings))
    applied = AppliedPlans(SqlPlans(database), plans, read_applied)
    await applied.reread()
    stores = opened_stores(database, titles=settings.titles == "on", most_conversations=settings.max_conversations)
    people = await _people(stack, settings, stores, plans)
    rules = made_rules(stores, models, plans)
    policy = RunPolicy(total=settings.longest_answer)
    streams = made_streams(stores, rules, notices, _node(settings, worker, configured.models), policy)
    catalogue = _catalogue(stores, models, configured, streams, worker)
    await catalogue.reread()
    services = made_services(stores, rules, streams, people, catalogue)
    upkeep = made_upkeep(stores, people.guests, settings.retention)
    handovers = Handovers(stores.generations, services.continuations, models, streams.wakes)
    work = (
        streams.writer.run(),
        streams.reader.run(),
        upkeep.run(),
        rules.counting.run(),
        handovers.run(),
        JobWorker(database, streams.wakes, made_jobs(stores, rules, streams)).run(),
        catalogue.run(),
        applied.run(),
        notices.run(streams.wakes.hear),
    )
    await stack.enter_async_context(_in_background(*work))
    await stack.enter_async_context(streams.runs.serving())
    return Gus(services, streams.runs, upkeep, database)


async def _people(stack: AsyncExitStack, settings: Settings, stores: Stores, plans: Plans) -> People:
    secret, previous = settings.secret_key, settings.previous_secret_key
    tokens = await stack.enter_async_context(opened_tokens(OwnKeys(secret, previous), settings.issuer))
    users = Users(stores.users, stores.world, secret, previous_secret_key=previous, tokens=tokens)
    return People(
        users,
        Accounts(SqlAccounts(stores.database), stores.users, stores.world, plans, users.forget),
        Guests(SqlGuests(stores.database), tokens, stores.world, secret, settings.guest_policy),
    )


def _catalogue(stores: Stores, models: Models, configured: Configured, streams: Streams, worker: Worker) -> Catalogue:
    servers = frozenset(server.name for server in configured.servers)
    return Catalogue(
        SqlModels(stores.database),
        models,
        configured.models,
        servers,
        wakes=streams.wakes,
        world=stores.world,
        changed=lambda known: streams.runs.reline(_lines(known, worker.host)),
    )


@asynccontextmanager
async def _in_background(*work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(vital(each)) for each in work]
        try:
            yield
        finally:
            for task in running:
                task.cancel()


async def vital(work: Coroutine[None, None, None], *, die: Callable[[int], object] = os._exit) -> None:
    """What the process cannot live without. Half dead it would refuse and time out for ever; dead it is taken over."""
    try:
        await work
    except Exception:  # the outermost owner of this task
        log.critical("a vital task has failed: this process ends, and others take its runs over", exc_info=True)
        die(BROKEN)


def _node(settings: Settings, worker: Worker, models: Iterable[Model]) -> Node:
    lease, grace = timedelta(seconds=settings.lease_seconds), timedelta(seconds=settings.grace_seconds)
    return Node(worker.node_id, _lines(models, worker.host), lease=lease, grace=grace)


def _lines(models: Iterable[Model], host: UUID) -> tuple[Line, ...]:
    """One per model server: its smallest `max_concurrency` binds all of its models."""
    of_server: dict[str, list[Model]] = {}
    for model in models:
        of_server.setdefault(model.provider, []).append(model)
    return tuple(_line(provider, served, host) for provider, served in of_server.items())


def _line(provider: str, served: list[Model], host: UUID) -> Line:
    capacities = [model.max_concurrency for model in served if model.max_concurrency is not None]
    name = f"{provider}@{host}" if provider == PROVIDER else provider
    return Line(name, tuple(model.key for model in served), min(capacities, default=None))
