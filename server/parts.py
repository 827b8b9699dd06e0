"""What gus is made of, in four groups that need each other in this order: stores, rules, streams, services."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.access import Access
from domain.account import Accounts
from domain.background import BackgroundCalls
from domain.catalogue import Catalogue
from domain.conversation.changes import Changes
from domain.conversation.continuing import Continuations
from domain.conversation.events import ConversationFollowers, ViewerFollowers
from domain.conversation.fork import Forks
from domain.conversation.once import Once
from domain.conversation.plan import Plans as SendPlans
from domain.conversation.preview import Previews
from domain.conversation.send import Sends
from domain.conversation.service import Conversations
from domain.conversation.titles import Titles
from domain.conversation.upkeep import Retention, Upkeep
from domain.conversation.wishes import Wishes
from domain.feedback import Feedbacks
from domain.generation.follow import Followers, LogReader
from domain.generation.prepare import StoredPreparation
from domain.generation.run import RunPolicy
from domain.generation.runs import Node, Runs
from domain.generation.service import Generations
from domain.generation.wakes import Wakes
from domain.generation.window import Windows
from domain.generation.writer import LogWriter
from domain.guest import Guests
from domain.instruction import Instructions
from domain.job import JobHandler, JobKind
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
from providers.json_schema import JsonSchemas
from repositories.conversation.events import SqlEvents
from repositories.conversation.store import SqlConversations
from repositories.database import Database
from repositories.feedback import SqlFeedback
from repositories.generation.log import SqlTokenLog
from repositories.generation.store import SqlGenerations
from repositories.instruction import SqlInstructions
from repositories.ledger.store import SqlLedger
from repositories.message.store import SqlMessages
from repositories.notify import Notices
from repositories.quota.store import SqlQuotas
from repositories.summary import SqlSummaries
from repositories.usage import SqlCalls
from repositories.user import SqlUsers
from repositories.window import SqlWindows
from resolvers.context import Services


@dataclass(frozen=True, slots=True)
class Stores:
    world: RealWorld
    database: Database
    users: SqlUsers
    conversations: SqlConversations
    messages: SqlMessages
    generations: SqlGenerations
    log: SqlTokenLog
    events: SqlEvents
    windows: SqlWindows
    summaries: SqlSummaries
    quotas: SqlQuotas


def opened_stores(database: Database, *, titles: bool, most_conversations: int) -> Stores:
    world = RealWorld()
    return Stores(
        world,
        database,
        SqlUsers(database),
        SqlConversations(database, world, most_conversations),
        SqlMessages(database),
        SqlGenerations(database),
        SqlTokenLog(database, titles=titles),
        SqlEvents(database),
        SqlWindows(database),
        SqlSummaries(database),
        SqlQuotas(database),
    )


@dataclass(frozen=True, slots=True)
class Rules:
    """What a send has to pass, and what its model is given."""

    models: Models
    plans: Plans
    access: Access
    instructions: Instructions
    counting: Tokens
    windows: Windows
    admission: Admission
    checker: JsonSchemas


def made_rules(stores: Stores, models: Models, plans: Plans) -> Rules:
    counting = Tokens(models, stores.windows, stores.world)
    return Rules(
        models,
        plans,
        Access(models, plans),
        Instructions(SqlInstructions(stores.database, stores.world), models),
        counting,
        Windows(stores.windows, counting, stores.summaries, models),
        Admission(stores.quotas, stores.users, plans),
        JsonSchemas(),
    )


@dataclass(frozen=True, slots=True)
class Streams:
    wakes: Wakes
    writer: LogWriter
    reader: LogReader
    followers: Followers
    preparation: StoredPreparation
    runs: Runs


def made_streams(stores: Stores, rules: Rules, notices: Notices, node: Node, policy: RunPolicy) -> Streams:
    wakes = Wakes(notices.tell)
    writer = LogWriter(stores.log, wakes)
    reader = LogReader(stores.log, writer)
    followers = Followers(stores.generations, stores.messages, reader, wakes, stores.world)
    preparation = StoredPreparation(
        stores.messages, rules.models, rules.instructions, rules.windows, stores.windows, rules.admission
    )
    runs = Runs(
        stores.log,
        writer,
        wakes,
        models=rules.models,
        preparation=preparation,
        world=stores.world,
        node=node,
        checker=rules.checker,
        policy=policy,
    )
    return Streams(wakes, writer, reader, followers, preparation, runs)


@dataclass(frozen=True, slots=True)
class People:
    users: Users
    accounts: Accounts
    guests: Guests


def made_services(stores: Stores, rules: Rules, streams: Streams, people: People, catalogue: Catalogue) -> Services:
    quotas = Quotas(rules.admission, stores.quotas, stores.users, rules.plans)
    generations = Generations(
        stores.generations, stores.log, streams.followers, streams.runs, streams.preparation, stores.messages
    )
    once = Once(stores.conversations, stores.messages, stores.generations, streams.runs, streams.wakes)
    planned = _planned(stores, rules)
    return Services(
        users=people.users,
        accounts=people.accounts,
        guests=people.guests,
        models=rules.models,
        catalogue=catalogue,
        plans=rules.plans,
        access=rules.access,
        conversations=_conversations(stores, rules, streams),
        changes=_changes(stores, rules, streams),
        forks=Forks(stores.conversations, stores.messages, runs=streams.runs, wakes=streams.wakes, world=stores.world),
        sends=_sends(stores, rules, streams, planned, once, generations),
        previews=Previews(stores.conversations, stores.generations, planned, rules.admission, streams.runs),
        continuations=_continuations(stores, rules, streams, once),
        conversation_followers=ConversationFollowers(stores.events, streams.wakes, stores.world),
        viewer_followers=ViewerFollowers(stores.events, quotas, streams.wakes, stores.world),
        messages=Messages(stores.messages),
        generations=generations,
        feedback=Feedbacks(SqlFeedback(stores.database), stores.messages, streams.wakes, stores.world),
        instructions=rules.instructions,
        windows=rules.windows,
        quotas=quotas,
        ledger=Ledger(SqlLedger(stores.database)),
    )


def _planned(stores: Stores, rules: Rules) -> SendPlans:
    wishes = Wishes(stores.conversations, stores.messages, stores.generations, rules.models, rules.checker)
    return SendPlans(
        stores.messages,
        wishes,
        models=rules.models,
        access=rules.access,
        instructions=rules.instructions,
        windows=rules.windows,
        world=stores.world,
    )


def _conversations(stores: Stores, rules: Rules, streams: Streams) -> Conversations:
    return Conversations(
        stores.conversations,
        models=rules.models,
        checker=rules.checker,
        runs=streams.runs,
        wakes=streams.wakes,
        world=stores.world,
    )


def _changes(stores: Stores, rules: Rules, streams: Streams) -> Changes:
    return Changes(
        stores.conversations,
        stores.messages,
        models=rules.models,
        checker=rules.checker,
        runs=streams.runs,
        wakes=streams.wakes,
        world=stores.world,
    )


def _sends(
    stores: Stores, rules: Rules, streams: Streams, planned: SendPlans, once: Once, generations: Generations
) -> Sends:
    return Sends(
        stores.conversations,
        planned,
        once,
        admission=rules.admission,
        runs=streams.runs,
        following=streams.followers,
        writers=generations,
        world=stores.world,
    )


def _continuations(stores: Stores, rules: Rules, streams: Streams, once: Once) -> Continuations:
    return Continuations(
        stores.conversations,
        stores.messages,
        stores.generations,
        once,
        admission=rules.admission,
        models=rules.models,
        access=rules.access,
        instructions=rules.instructions,
        runs=streams.runs,
        windows=rules.windows,
        world=stores.world,
    )


def made_upkeep(stores: Stores, guests: Guests, retention: Retention) -> Upkeep:
    return Upkeep(
        stores.conversations, stores.generations, stores.events, guests, stores.quotas, stores.world, retention
    )


def made_jobs(stores: Stores, rules: Rules, streams: Streams) -> Mapping[JobKind, JobHandler]:
    users = SqlUsers(stores.database)

    async def allowed(owner: UserId) -> list[Model]:
        user = await users.user(owner)
        return rules.access.allowed_to(user) if user else []

    calls = BackgroundCalls(
        rules.models,
        SqlCalls(stores.database),
        streams.wakes,
        stores.world,
        lines=lambda: streams.runs.node.lines,
        allowed=allowed,
    )
    return {
        JobKind.TITLE: Titles(stores.conversations, stores.messages, calls, streams.wakes).make,
        JobKind.SUMMARY: Summarizing(stores.summaries, stores.messages, calls, stores.world).make,
    }
