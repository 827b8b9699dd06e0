"""An index behind each statement, and one statement however much is asked. Nothing here measures time."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from asyncpg.connection import LoggedQuery

from domain.conversation.commands import ForkScope
from domain.conversation.entity import ConversationFilter, ConversationOrder
from domain.conversation.store import NewRun
from domain.feedback import Feedback, Rating
from domain.generation.entity import Generation, GenerationStatus
from domain.generation.log import Append, GenerationFilter, Line, NewText, StopRequest, Want
from domain.instruction import PUBLISHED, InstructionScope, Publication
from domain.ledger import DateRange, UsageDimension
from domain.message import Family, Message, MessageFilter
from domain.model import ModelKey
from domain.page import PageArgs
from repositories.feedback import SqlFeedback
from repositories.instruction import SqlInstructions
from repositories.ledger.store import SqlLedger
from repositories.user import SqlUsers
from tests.load.planting import plant_line, plant_regenerated
from tests.repositories.admitting import ONE, Customer, claim
from tests.repositories.story import LEASE, NODE, NOW, WORLD, Story, draft_of_reply, new_generation
from tests.repositories.test_fork import forked
from tests.repositories.test_writing import send

# Enough of everything that reading all of it is the worse plan.
_CROWD = """
WITH crowd AS (
  INSERT INTO users (id, role, created_at) SELECT gen_random_uuid(), 'USER', now() FROM generate_series(1, 2000) RETURNING id
), keys AS (
  INSERT INTO idempotency_keys (owner_id, key, fingerprint, ids, created_at)
  SELECT id, 'key', '', '{}', now() FROM crowd
), happened AS (
  INSERT INTO conversation_events (conversation_id, seq, at, kind, message_id, owner_id)
  SELECT gen_random_uuid(), 1, now(), 1, gen_random_uuid(), id FROM crowd
), said AS (
  INSERT INTO instructions (id, scope, key, version, text, sha256, published_at, published_by)
  SELECT gen_random_uuid(), 'USER', id::text, 1, 'Rhyme.', '', now(), id FROM crowd
), counted AS (
  INSERT INTO quota_windows (subject_id, span, starts_at)
  SELECT id, span, date_trunc('hour', now()) FROM crowd, unnest(ARRAY['MINUTE', 'HOUR', 'DAY', 'MONTH', 'INSTANT']) span
), set AS (
  INSERT INTO quota_overrides (subject, scope, metric, span, set_at, set_by)
  SELECT id::text, 'USER', 'MESSAGES', 'DAY', now(), id FROM crowd
), entered AS (
  INSERT INTO ledger_entries (transaction_id, account, amount_nano, at, owner_id, conversation_id, model_key, purpose,
    input_tokens, output_tokens, failed, latency_ms)
  SELECT gen_random_uuid(), 'user:' || id, 1, now(), id, gen_random_uuid(), 'llama', 'REPLY', 1, 1, false, 1 FROM crowd
), secrets AS (
  INSERT INTO api_keys (id, user_id, name, prefix, digest, can_manage, created_at)
  SELECT gen_random_uuid(), id, '', '', id::text::bytea, false, now() FROM crowd
), opened AS (
  INSERT INTO conversations (id, owner_id, title_source, state, version, created_at, updated_at, pinned, tags,
    message_count, root_count, settings, activations)
  SELECT gen_random_uuid(), id, 'NONE', 'ACTIVE', 1, now(), now(), false, '{}', 0, 0, '{}', 0 FROM crowd RETURNING id
)
INSERT INTO context_summaries (id, conversation_id, covers_through, branch_id, depth, text, model_key, tokens, created_at)
SELECT gen_random_uuid(), id, gen_random_uuid(), gen_random_uuid(), 0, '', 'llama', 1, now() FROM opened
"""

_RUNS = """
WITH runs AS (
  INSERT INTO generations (id, conversation_id, owner_id, reply_id, trigger, status, model_key, requested_model_key,
    settings, estimated_input_tokens, queued_at, ended_at, text_offset, last_seq, attempt)
  SELECT md5(m.id::text)::uuid, m.conversation_id, $1, m.id, 'SEND', 'COMPLETED', 'llama', 'llama', '{}', 1, now(), now(),
    0, 3, 1
  FROM messages m WHERE m.role = 'ASSISTANT' RETURNING id, reply_id
), events AS (
  INSERT INTO generation_events (generation_id, seq, at, kind, text, position)
  SELECT id, seq, now(), 2, 'word', 0 FROM runs, generate_series(1, 3) seq
), rated AS (
  INSERT INTO feedback (message_id, rating, tags, updated_at) SELECT reply_id, 'UP', '{}', now() FROM runs
)
UPDATE messages m SET generation_id = runs.id FROM runs WHERE m.id = runs.reply_id
"""


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url, server_settings={"plan_cache_mode": "force_generic_plan"})
    yield connection
    await connection.close()


@pytest.fixture
async def leaf(story: Story, connection: asyncpg.Connection) -> Message:
    """Of the worst tree, in a crowd."""
    await connection.execute(_CROWD)
    await plant_line(connection, story.owner, 3_000)
    planted = await plant_regenerated(connection, story.owner, 1_500)
    await connection.execute(_RUNS, story.owner)
    await connection.execute("ANALYZE")
    return await story.message(planted.leaf)


async def test_an_index_is_behind_every_statement(
    story: Story, leaf: Message, connection: asyncpg.Connection, statements: list[LoggedQuery]
) -> None:
    statements.clear()
    run = await every_operation(story, leaf)
    asked = {logged.query for logged in statements if not logged.query.startswith(("BEGIN", "COMMIT"))}
    assert len(asked) == 96
    scanned = {query: tables for query in asked if (tables := await tables_read_whole(connection, query))}
    assert not scanned, "\n".join(f"{tables}: {query}" for query, tables in scanned.items())
    assert run.last_seq == 1


async def every_operation(story: Story, leaf: Message) -> Generation:
    messages, owner, conversation_id = story.messages, story.owner, leaf.conversation_id
    above = await messages.ancestors(owner, leaf.id, skip=10, limit=50)
    after, before = str(above[-1].id), str(above[0].id)
    family, having = Family(conversation_id, above[0].parent_id), MessageFilter()
    for page in (
        PageArgs(50),
        PageArgs(50, backward=True),
        PageArgs(5, False, after, before),
        PageArgs(5, True, after),
    ):
        await messages.path(owner, leaf, page)
        await messages.in_creation_order(owner, conversation_id, page, having)
        await messages.leaves(owner, conversation_id, page)
        await messages.families(owner, [family, Family(conversation_id, None)], page)
    await messages.messages(owner, [leaf.id])
    for asked in (GenerationFilter(), GenerationFilter(frozenset({GenerationStatus.RUNNING}))):
        await story.generations.of_conversation(owner, conversation_id, asked, PageArgs(5))
    await story.generations.of_replies(owner, [leaf.id], PageArgs(5))
    await messages.family_sizes(owner, [family])
    await messages.siblings_at(owner, [(family, 1), (Family(conversation_id, None), 1)])
    await messages.leaves_below(owner, [leaf.id, above[0].id])
    await conversations(story, leaf)
    await instructions(story, leaf)
    await queues(story)
    await forks(story)
    await money(story, leaf)
    return await runs(story, leaf)


async def conversations(story: Story, leaf: Message) -> None:
    await story.conversations.recall(story.owner, "key")
    await story.conversations.conversations(story.owner, [leaf.conversation_id])
    for order in ConversationOrder:
        page = await story.conversations.listed(story.owner, ConversationFilter(), order, PageArgs(1))
        assert len(page.edges) == 1
    await story.conversations.forget_keys(NOW)
    doomed = await story.conversation()
    await story.say(doomed.id, None, "a", "b")
    async with story.conversations.writing() as writing:
        await writing.delete(story.owner, doomed.id, NOW)
    assert await story.conversations.purge_deleted(10) == 3
    users = SqlUsers(story.database)
    await users.users_by_id([story.owner])
    await users.credential(b"nothing")
    await users.live_keys(story.owner)


async def forks(story: Story) -> None:
    run = await story.write(await story.run((await story.conversation()).id), "Wood.")
    reply = await story.message(run.reply_id)
    for scope in ForkScope:
        await forked(story, reply, scope)
    feedback = SqlFeedback(story.database)
    assert await feedback.rate(reply, Feedback(Rating.UP, ("a",), None, NOW), NOW)
    assert len(await feedback.feedback(story.owner, [reply.id])) == 1


async def money(story: Story, leaf: Message) -> None:
    customer, ledger = await Customer.stored(story.database, story.owner), SqlLedger(story.database)
    run = await customer.send(ONE)
    assert run is not None
    payer = customer.payer
    assert await customer.admission.stretch(run.id, payer.user.id, payer.key_id, claim(20, ONE.cost))
    await customer.admission.quotas(payer)
    await story.finish(await story.generation(run.id), "")
    await ledger.report(story.owner, DateRange(NOW, NOW + timedelta(days=400)), [UsageDimension.DAY])
    assert len(await ledger.of_messages(story.owner, [run.reply_id])) == 1
    await ledger.verify(DateRange(NOW, NOW + timedelta(days=400)), 10)


async def instructions(story: Story, leaf: Message) -> None:
    stored = SqlInstructions(story.database, WORLD)
    await stored.say(story.owner, "Rhyme.")
    published = await stored.publish(Publication(InstructionScope.PLATFORM, "", "Be kind.", 0), story.owner)
    assert published is not None
    layers = await stored.in_force(story.owner, ModelKey("llama"), leaf.conversation_id)
    assert await stored.recalled([layer.ref for layer in layers]) == layers
    assert await stored.of_conversations([leaf.conversation_id]) == {}
    assert (await stored.published(PUBLISHED, PageArgs(), history=False)).nodes == [published]
    assert await stored.by_id([published.id]) == {published.id: published}


async def queues(story: Story) -> None:
    line = Line("here", (ModelKey("llama"),), 1)
    first = await story.queued()
    second = await story.queued(behind=first)
    await story.queued(behind=second)
    [claimed] = await story.log.claim(NODE, LEASE, line, 10)
    await story.log.give_back(claimed.generation)
    [claimed] = await story.log.claim(NODE, LEASE, line, 10)
    assert claimed.generation.id == first.id
    await story.finish(claimed.generation, "")
    async with story.conversations.writing() as writing:
        tree = await writing.lock(story.owner, first.conversation_id)
        assert tree is not None
        standing = await tree.look(first.reply_id)
        assert standing.waiting == 2
        assert standing.message is not None
        await tree.show(await tree.leaf_below(first.reply_id), NOW)
        await tree.change(tree.conversation)
        again = replace(new_generation(draft_of_reply(), tree.conversation), reply_id=first.reply_id)
        await tree.reopen(standing.message, NewRun(again, NODE, LEASE))
    assert await story.conversations.rest_idle(timedelta(days=-1), 1) == 1
    assert await story.generations.compact(timedelta(days=-1), 1) == 1
    assert await story.events.events(story.owner, first.conversation_id, 0, 10) is not None
    assert len(await story.events.touches(story.owner, timedelta(minutes=1))) == 2
    assert await story.events.forget_events(timedelta(days=-1), 1) == 1


async def runs(story: Story, leaf: Message) -> Generation:
    [conversation] = (await story.conversations.conversations(story.owner, [leaf.conversation_id])).values()
    reply = await send(story, conversation, leaf)
    assert reply.generation_id
    run = await story.generation(reply.generation_id)
    await story.generations.unfinished(story.owner, 10)
    await story.log.read([Want(run.id, 0, 10)])
    await story.log.stops(NODE)
    await story.log.renew(NODE, [run.id], LEASE)
    await story.log.abandoned(10)
    await story.log.left_by(NODE, 10)
    await story.log.ask_to_stop(story.owner, run.id, StopRequest(None))
    await story.log.take(run.id, NODE, LEASE, own=True)
    await story.log.append([Append(run.id, 2, 2, (NewText("A", 0),))])
    await story.finish(await story.generation(run.id), "A")
    return run


async def tables_read_whole(connection: asyncpg.Connection, query: str) -> list[str]:
    """By the plan that serves any values."""
    await connection.execute(f"PREPARE asked AS {query}")
    try:
        values = await connection.fetchval(
            "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'asked'"
        )
        arguments = f"({', '.join(['NULL'] * values)})" if values else ""
        plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE asked {arguments}"))
    finally:
        await connection.execute("DEALLOCATE asked")
    return sorted(_sequential(plan[0]["Plan"]))


def _sequential(node: dict[str, Any]) -> list[str]:
    below = [table for plan in node.get("Plans", []) for table in _sequential(plan)]
    return below + ([node["Relation Name"]] if node["Node Type"] == "Seq Scan" else [])


ReadsMany = Callable[[Story, list[Message]], Awaitable[object]]

LOADERS: dict[str, ReadsMany] = {
    "messages": lambda story, page: story.messages.messages(story.owner, [m.id for m in page]),
    "parents": lambda story, page: story.messages.messages(story.owner, [m.parent_id for m in page if m.parent_id]),
    "children": lambda story, page: story.messages.families(story.owner, [child_family(m) for m in page], PageArgs()),
    "siblings": lambda story, page: story.messages.families(story.owner, [m.family for m in page], PageArgs()),
    "sibling counts": lambda story, page: story.messages.family_sizes(story.owner, [m.family for m in page]),
    "next siblings": lambda story, page: story.messages.siblings_at(story.owner, [(m.family, 2) for m in page]),
    "leaves": lambda story, page: story.messages.leaves_below(story.owner, [m.id for m in page]),
    "generations": lambda story, page: story.generations.generations(
        story.owner, [m.generation_id for m in page if m.generation_id]
    ),
    "runs": lambda story, page: story.generations.of_replies(story.owner, [m.id for m in page], PageArgs()),
    "logs": lambda story, page: story.log.read([Want(m.generation_id, 0, 9) for m in page if m.generation_id]),
}


@pytest.mark.parametrize("loader", LOADERS)
async def test_fifty_take_one_statement(
    story: Story, connection: asyncpg.Connection, statements: list[LoggedQuery], loader: str
) -> None:
    planted = await plant_regenerated(connection, story.owner, 60)
    await connection.execute(_RUNS, story.owner)
    page = await story.messages.ancestors(story.owner, planted.leaf, skip=0, limit=50)
    statements.clear()
    await LOADERS[loader](story, page)
    assert (len(page), len(statements)) == (50, 1)


@pytest.mark.parametrize(("cursors", "expected"), [(0, 1), (1, 2), (2, 2)])
async def test_a_path_takes_a_constant_number_of_statements(
    story: Story, connection: asyncpg.Connection, statements: list[LoggedQuery], cursors: int, expected: int
) -> None:
    for planted in (
        await plant_line(connection, story.owner, 500),
        await plant_regenerated(connection, story.owner, 200),
    ):
        leaf = await story.message(planted.leaf)
        after, before = [None, None, str(planted.first)][cursors], [None, str(leaf.id), str(leaf.id)][cursors]
        statements.clear()
        page = await story.messages.path(story.owner, leaf, PageArgs(50, True, after, before))
        assert (len(page.edges), len(statements)) == (50, expected)


def child_family(message: Message) -> Family:
    return Family(message.conversation_id, message.id)
