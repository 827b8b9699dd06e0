"""The composition root: every part is made here, once, and opened and closed in order."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from domain.conversation.send import Sends
from domain.conversation.service import Conversations
from domain.conversation.upkeep import Upkeep
from domain.generation.follow import Followers, LogReader
from domain.generation.run import RunPolicy
from domain.generation.runs import Node, Runs
from domain.generation.service import Generations
from domain.generation.wakes import Wakes
from domain.generation.writer import LogWriter
from domain.message import Messages
from domain.model import Models
from domain.user import Users
from domain.world import NodeId, RealWorld, UserId
from providers import ConfiguredServers
from repositories.conversation.store import SqlConversations
from repositories.database import Database, QueryLogger, open_database
from repositories.generation.log import SqlTokenLog
from repositories.generation.store import SqlGenerations
from repositories.message.store import SqlMessages
from repositories.notify import Notices
from repositories.user import SqlUsers
from resolvers.context import Services
from server.models_file import Catalogue
from server.node import kept_node_id
from server.settings import Settings

DEVELOPER = UserId(UUID("00000000-0000-7000-8000-000000000001"))


@dataclass(frozen=True, slots=True)
class Gus:
    """The running whole."""

    services: Services
    runs: Runs
    database: Database


@asynccontextmanager
async def composed(
    settings: Settings, database_url: str, catalogue: Catalogue, *, query_logger: QueryLogger | None = None
) -> AsyncIterator[Gus]:
    """Everything is closed in reverse: runs first, which still need their log, the database last."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(database_url, settings.database_pool, query_logger))
        servers = await stack.enter_async_context(ConfiguredServers(catalogue.servers))
        notices = Notices(settings.listen_url or database_url)
        gus = await _assemble(stack, settings, database, notices, Models(catalogue.models, servers))
        if settings.dev_key is not None:
            await gus.services.users.keep_development_key(DEVELOPER, settings.dev_key)
        yield gus


async def _assemble(
    stack: AsyncExitStack, settings: Settings, database: Database, notices: Notices, models: Models
) -> Gus:
    world = RealWorld()
    conversations, messages = SqlConversations(database, world), SqlMessages(database)
    generations, log = SqlGenerations(database), SqlTokenLog(database)
    wakes = Wakes(notices.tell)
    writer = LogWriter(log, wakes)
    reader = LogReader(log, writer)
    runs = Runs(log, writer, wakes, models, _node(settings, world), RunPolicy())
    services = Services(
        users=Users(SqlUsers(database), world, settings.secret_key),
        models=models,
        conversations=Conversations(conversations, models, runs, world),
        sends=Sends(conversations, messages, generations, models=models, runs=runs, world=world),
        messages=Messages(messages),
        generations=Generations(generations, log, Followers(generations, reader, wakes), runs),
    )
    upkeep = Upkeep(conversations, world)
    await stack.enter_async_context(_in_background(writer.run(), reader.run(), upkeep.run(), notices.run(wakes.hear)))
    await stack.enter_async_context(runs.serving())
    return Gus(services, runs, database)


@asynccontextmanager
async def _in_background(*work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(each) for each in work]
        try:
            yield
        finally:
            for task in running:
                task.cancel()


def _node(settings: Settings, world: RealWorld) -> Node:
    node_id = NodeId(world.new_id()) if settings.production else kept_node_id(settings.data_dir, world)
    return Node(node_id, timedelta(seconds=settings.lease_seconds), grace=timedelta(seconds=settings.grace_seconds))
