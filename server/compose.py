"""The composition root: every part is made here, once, and opened and closed in order."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from domain.access import Access
from domain.account import Accounts
from domain.background import BackgroundCalls
from domain.catalogue import Catalogue
from domain.conversation.changes import Changes
from domain.conversation.continuing import Continuations
from domain.conversation.events import ConversationFollowers, ViewerFollowers
from domain.conversation.fork import Forks
from domain.conversation.handover import Handovers
from domain.conversation.once import Once
from domain.conversation.plan import Plans as SendPlans
from domain.conversation.preview import Previews
from domain.conversation.send import Sends
from domain.conversation.service import Conversations
from domain.conversation.titles import Titles
from domain.conversation.upkeep import Upkeep
from domain.conversation.wishes import Wishes
from domain.feedback import Feedbacks
from domain.generation.follow import Followers, LogReader
from domain.generation.log import Line
from domain.generation.prepare import StoredPreparation
from domain.generation.run import RunPolicy
from domain.generation.runs import Node, Runs
from domain.generation.service import Generations
from domain.generation.wakes import Wakes
from domain.generation.window import Windows
from domain.generation.writer import LogWriter
from domain.guest import Guests
from domain.instruction import Instructions
from domain.job import JobKind
from domain.ledger import Ledger
from domain.message import Messages
from domain.model import Model, Models
from domain.plan import Plans
from domain.quota.admission import Admission
from domain.quota.service import Quotas
from domain.summary import Summarizing
from domain.user import Users
from domain.window.tokens import Tokens
from domain.world import RealWorld, UserId
from providers import ConfiguredServers
from providers.json_schema import JsonSchemas
from providers.llama import PROVIDER
from repositories.account import SqlAccounts
from repositories.conversation.events import SqlEvents
from repositories.conversation.store import SqlConversations
from repositories.database import Database, QueryLogger, open_database
from repositories.feedback import SqlFeedback
from repositories.generation.log import SqlTokenLog
from repositories.generation.store import SqlGenerations
from repositories.guest import SqlGuests
from repositories.instruction import SqlInstructions
from repositories.job.worker import JobWorker
from repositories.ledger.store import SqlLedger
from repositories.message.store import SqlMessages
from repositories.model import SqlModels
from repositories.notify import Notices
from repositories.quota.store import SqlQuotas
from repositories.summary import SqlSummaries
from repositories.usage import SqlCalls
from repositories.user import SqlUsers
from repositories.window import SqlWindows
from resolvers.context import Services
from server.identity import opened_tokens
from server.identity.own import OwnKeys
from server.models_file import Catalogue as Configured
from server.node import Worker
from server.plans_file import configured_plans
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
    world, node = RealWorld(), _node(settings, worker, configured.models)
    plans = Plans(configured_plans(settings))
    access = Access(models, plans)
    people = await _people(stack, settings, database, world, plans)
    conversations, messages = SqlConversations(database, world), SqlMessages(database)
    generations, log, events = (
        SqlGenerations(database),
        SqlTokenLog(database, titles=settings.titles == "on"),
        SqlEvents(database),
    )
    wakes = Wakes(notices.tell)
    writer = LogWriter(log, wakes)
    reader = LogReader(log, writer)
    instructions = Instructions(SqlInstructions(database, world), models)
    stored_windows = SqlWindows(database)
    counting = Tokens(models, stored_windows, world)
    summaries = SqlSummaries(database)
    windows = Windows(stored_windows, counting, summaries, models)
    counters = SqlQuotas(database)
    admission = Admission(counters, SqlUsers(database), plans)
    quotas = Quotas(admission, counters, SqlUsers(database), plans)
    preparation = StoredPreparation(messages, models, instructions, windows, stored_windows, admission)
    checker = JsonSchemas()
    runs = Runs(
        log,
        writer,
        wakes,
        models=models,
        preparation=preparation,
        world=world,
        node=node,
        checker=checker,
        policy=RunPolicy(),
    )
    catalogue = _catalogue(
        database, models, configured, wakes, world, lambda known: runs.reline(_lines(known, worker.host))
    )
    await catalogue.reread()
    followers = Followers(generations, messages, reader, wakes, world)
    wishes = Wishes(conversations, messages, generations, models, checker)
    planned = SendPlans(
        messages, wishes, models=models, access=access, instructions=instructions, windows=windows, world=world
    )
    once = Once(conversations, messages, generations, runs, wakes)
    written = Generations(generations, log, followers, runs, preparation, messages)
    continuations = Continuations(
        conversations,
        messages,
        generations,
        once,
        admission=admission,
        models=models,
        access=access,
        instructions=instructions,
        runs=runs,
        windows=windows,
        world=world,
    )
    services = Services(
        users=people.users,
        accounts=people.accounts,
        guests=people.guests,
        models=models,
        catalogue=catalogue,
        plans=plans,
        access=access,
        conversations=Conversations(conversations, models=models, checker=checker, runs=runs, wakes=wakes, world=world),
        changes=Changes(conversations, messages, models=models, checker=checker, runs=runs, wakes=wakes, world=world),
        forks=Forks(conversations, messages, runs=runs, wakes=wakes, world=world),
        sends=Sends(
            conversations,
            planned,
            once,
            admission=admission,
            runs=runs,
            following=followers,
            writers=written,
            world=world,
        ),
        previews=Previews(conversations, generations, planned, admission, runs),
        continuations=continuations,
        conversation_followers=ConversationFollowers(events, wakes, world),
        viewer_followers=ViewerFollowers(events, quotas, wakes, world),
        messages=Messages(messages),
        generations=written,
        feedback=Feedbacks(SqlFeedback(database), messages, wakes, world),
        instructions=instructions,
        windows=windows,
        quotas=quotas,
        ledger=Ledger(SqlLedger(database)),
    )
    upkeep = Upkeep(conversations, generations, events, people.guests, counters, world, settings.retention)
    calls = BackgroundCalls(models, SqlCalls(database), wakes, world, lambda: runs.node.lines)
    handlers = {
        JobKind.TITLE: Titles(conversations, messages, calls, wakes).make,
        JobKind.SUMMARY: Summarizing(summaries, messages, calls, world).make,
    }
    jobs = JobWorker(database, wakes, handlers)
    handovers = Handovers(generations, continuations, models, wakes)
    work = (
        writer.run(),
        reader.run(),
        upkeep.run(),
        counting.run(),
        handovers.run(),
        jobs.run(),
        catalogue.run(),
        notices.run(wakes.hear),
    )
    await stack.enter_async_context(_in_background(*work))
    await stack.enter_async_context(runs.serving())
    return Gus(services, runs, upkeep, database)


@dataclass(frozen=True, slots=True)
class _People:
    users: Users
    accounts: Accounts
    guests: Guests


async def _people(
    stack: AsyncExitStack, settings: Settings, database: Database, world: RealWorld, plans: Plans
) -> _People:
    store, secret, previous = SqlUsers(database), settings.secret_key, settings.previous_secret_key
    tokens = await stack.enter_async_context(opened_tokens(OwnKeys(secret, previous), settings.issuer))
    users = Users(store, world, secret, previous_secret_key=previous, tokens=tokens)
    return _People(
        users,
        Accounts(SqlAccounts(database), store, world, plans, users.forget),
        Guests(SqlGuests(database), tokens, world, secret, settings.guest_policy),
    )


def _catalogue(
    database: Database,
    models: Models,
    configured: Configured,
    wakes: Wakes,
    world: RealWorld,
    changed: Callable[[Iterable[Model]], None],
) -> Catalogue:
    servers = frozenset(server.name for server in configured.servers)
    return Catalogue(SqlModels(database), models, configured.models, servers, wakes=wakes, world=world, changed=changed)


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
