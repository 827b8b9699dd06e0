"""The token log's promises, as far as one statement can keep or break them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
from asyncpg.connection import LoggedQuery

from domain.conversation.entity import Conversation
from domain.errors import GenerationErrorCode, Unstorable
from domain.generation.entity import (
    AttemptOutcome,
    Ending,
    FinishReason,
    Generation,
    GenerationError,
    GenerationStatus,
    Notice,
    NoticeCode,
    ProviderAttempt,
)
from domain.generation.log import (
    Append,
    Appended,
    Claimed,
    Ended,
    GenerationFinished,
    GenerationStarted,
    Line,
    NewCut,
    NewNotice,
    NewStart,
    NewText,
    NoticeRaised,
    ReasoningDelta,
    StopRequest,
    TextDelta,
    TextTruncated,
    TruncationReason,
    Want,
    read_all,
    text_of,
)
from domain.message import MessageFilter, MessageStatus
from domain.model import ModelKey, Usage, UsageSource
from domain.page import PageArgs
from domain.world import GenerationId, NodeId
from tests.repositories.story import LEASE, NODE, NOW, WORLD, Story, texts

FALLBACK = Notice(NoticeCode.MODEL_FALLBACK, "llama did not answer: other is asked instead.")
TRIED = ProviderAttempt("here", "llama", NOW, NOW + timedelta(seconds=1), AttemptOutcome.RATE_LIMITED, 429)
ANSWERED = ProviderAttempt("there", "other", NOW, NOW, AttemptOutcome.ANSWERED)

STOPPED = Ending(
    GenerationStatus.STOPPED,
    FinishReason.USER_STOP,
    "Tr",
    Usage(12, 3, UsageSource.PARTIAL, cached_input_tokens=1, reasoning_tokens=2),
    reasoning="hm",
    error=GenerationError(GenerationErrorCode.SERVER_LOST, retryable=True, retry_after=1.5),
    model_key=ModelKey("other"),
    notices=(FALLBACK,),
    attempts=(TRIED, ANSWERED),
)


@pytest.fixture
async def run(story: Story) -> Generation:
    conversation = await story.conversation()
    return await story.run(conversation.id)


def deltas(*words: str) -> tuple[NewText, ...]:
    return tuple(NewText(word, sum(map(len, words[:n]))) for n, word in enumerate(words))


async def test_an_append_is_one_statement_for_many_runs(story: Story, statements: list[LoggedQuery]) -> None:
    runs = [await story.run((await story.conversation()).id) for _ in range(3)]
    statements.clear()
    found = await story.log.append([Append(run.id, 1, 1, deltas("A", " tree")) for run in runs])
    assert len(statements) == 1
    [written_at] = {entries[1].at for entries in [await read_all(story.log, run.id) for run in runs]}
    assert found == {run.id: Appended(1, 3, ended=False, stop=None, at=written_at) for run in runs}


async def test_what_was_appended_reads_in_order_from_any_cursor(story: Story, run: Generation) -> None:
    thought = NewText("hm", 0, reasoning=True)
    await story.log.append([Append(run.id, 1, 1, (thought, *deltas("Tree", "s")))])
    entries = await read_all(story.log, run.id)
    assert [entry.seq for entry in entries] == [1, 2, 3, 4]
    at = entries[1].at
    assert entries[1:] == [
        ReasoningDelta(2, at, run.id, "hm", 0),
        TextDelta(3, at, run.id, "Tree", 0),
        TextDelta(4, at, run.id, "s", 4),
    ]
    [found] = await story.log.read([Want(run.id, 2, 1)])
    assert found is not None
    assert (list(found.entries), found.last_seq, found.ended) == (entries[2:3], 4, False)


async def test_what_takes_the_place_of_a_text_is_read_as_the_text(story: Story, run: Generation) -> None:
    again = NewText("oh no", 0), NewCut(0, TruncationReason.REPAIR), NewText("{}", 0, tokens=2)
    await story.log.append([Append(run.id, 1, 1, again)])
    entries = await read_all(story.log, run.id)
    assert entries[2] == TextTruncated(3, entries[1].at, run.id, 0, TruncationReason.REPAIR)
    assert (await story.message(run.reply_id)).text == text_of(entries) == "{}"
    # What was taken away was produced nevertheless.
    assert (await story.generation(run.id)).produced_tokens == 3


async def test_wants_are_answered_in_their_order_by_one_statement(
    story: Story, run: Generation, statements: list[LoggedQuery]
) -> None:
    run, other = await story.write(run, "A", "B"), await story.run((await story.conversation()).id)
    unknown = new_run_like(run)
    statements.clear()
    found = await story.log.read([Want(other.id, 5, 9), Want(unknown.id, 0, 9), Want(run.id, 2, 9), Want(run.id, 0, 2)])
    assert len(statements) == 1
    assert found[1] is None
    assert [entry and ([e.seq for e in entry.entries], entry.last_seq) for entry in found] == [
        ([], 1),
        None,
        ([3], 3),
        ([1, 2], 3),
    ]
    assert await story.log.read([]) == []


@pytest.mark.parametrize(("attempt", "previous"), [(0, 1), (2, 1), (1, 0), (1, 2)])
async def test_an_append_that_knows_another_attempt_or_seq_is_not_taken(
    story: Story, run: Generation, attempt: int, previous: int
) -> None:
    found = await story.log.append([Append(run.id, attempt, previous, deltas("lost"))])
    assert found == {run.id: Appended(1, 1, ended=False, stop=None)}
    assert len(await read_all(story.log, run.id)) == 1


async def test_nothing_is_appended_after_the_end(story: Story, run: Generation) -> None:
    await story.finish(run, "")
    found = await story.log.append([Append(run.id, 1, 2, deltas("late"))])
    assert found == {run.id: Appended(1, 2, ended=True, stop=None)}
    assert len(await read_all(story.log, run.id)) == 2


async def test_an_append_without_deltas_only_asks(story: Story, run: Generation) -> None:
    await story.log.ask_to_stop(story.owner, run.id, StopRequest(1))
    found = await story.log.append([Append(run.id, 1, 1, ())])
    assert found == {run.id: Appended(1, 1, ended=False, stop=StopRequest(1))}
    assert (await story.generation(run.id)).first_token_at is None


async def test_a_locked_run_waits_for_the_next_batch_alone(story: Story, run: Generation) -> None:
    other = await story.run((await story.conversation()).id)
    batch = [Append(run.id, 1, 1, deltas("A")), Append(other.id, 1, 1, deltas("B"))]
    async with locked(story, run):
        assert set(await story.log.append(batch)) == {other.id}
    assert (await story.log.append(batch))[run.id].last_seq == 2
    assert len(await read_all(story.log, other.id)) == 2


async def test_of_two_owners_of_one_run_each_seq_has_one(story: Story, run: Generation) -> None:
    """The second one's statement may have begun before the first one's commit."""
    for previous in range(1, 41):
        racers = [[Append(run.id, 1, previous, deltas(name))] for name in "AB"]
        found = await asyncio.gather(*map(story.log.append, racers))
        assert all(answer[run.id].last_seq in (previous, previous + 1) for answer in found if answer)
        entries = await read_all(story.log, run.id)
        assert [entry.seq for entry in entries] == list(range(1, previous + 2))


async def test_a_reply_reads_as_its_log_while_it_is_written(story: Story, run: Generation) -> None:
    await story.log.append([Append(run.id, 1, 1, (NewText("hm", 0, reasoning=True), *deltas("Tree", "s \U0001f333")))])
    reply = await story.message(run.reply_id)
    assert (reply.text, reply.reasoning, reply.text_through_seq) == ("Trees \U0001f333", "hm", 4)
    assert (reply.status, reply.model_key) == (MessageStatus.STREAMING, run.model_key)
    assert reply.first_token_at == (await story.generation(run.id)).first_token_at is not None
    await add_event(story, run, seq=5, kind=4, position=4, detail='{"reason": "STOPPED"}')
    assert (await story.message(run.reply_id)).text == "Tree"


async def test_a_live_reply_is_filtered_by_its_live_status(story: Story, run: Generation) -> None:
    async def found(status: MessageStatus) -> list[str]:
        having = MessageFilter(statuses=frozenset({status}))
        page = await story.messages.in_creation_order(story.owner, run.conversation_id, PageArgs(), having)
        return texts(page.nodes)

    run = await story.write(run, "A tree")
    assert (await found(MessageStatus.STREAMING), await found(MessageStatus.COMPLETE)) == (
        ["A tree"],
        ["What is a tree?"],
    )
    await story.finish(run, "A tree.")
    assert (await found(MessageStatus.STREAMING), await found(MessageStatus.COMPLETE)) == (
        [],
        ["What is a tree?", "A tree."],
    )


async def test_what_is_no_text_is_appended_in_its_place(story: Story, run: Generation) -> None:
    fallback, start = NewNotice(FALLBACK), NewStart(2, ModelKey("other"), 99)
    found = await story.log.append([Append(run.id, 1, 1, (fallback, start))])
    assert found[run.id].last_seq == 3
    turned = await story.generation(run.id)
    settings = replace(run.settings, model=ModelKey("other"), max_output_tokens=99)
    assert turned == replace(run, model_key=ModelKey("other"), settings=settings, notices=(FALLBACK,), last_seq=3)
    await story.log.append([Append(run.id, 1, 3, (NewText("A", 0, tokens=2), fallback, NewText(" tree", 1)))])
    at = [entry.at for entry in await read_all(story.log, run.id)]
    assert (await read_all(story.log, run.id))[1:] == [
        NoticeRaised(2, at[1], run.id, FALLBACK),
        GenerationStarted(3, at[2], run.id, 2, ModelKey("other")),
        TextDelta(4, at[3], run.id, "A", 0),
        NoticeRaised(5, at[4], run.id, FALLBACK),
        TextDelta(6, at[5], run.id, " tree", 1),
    ]
    written = await story.generation(run.id)
    assert (written.produced_tokens, written.notices, written.first_token_at) == (3, (FALLBACK, FALLBACK), at[3])


async def test_the_end_is_written_whole(story: Story, run: Generation, statements: list[LoggedQuery]) -> None:
    run = await story.write(run, "Tree", "s")
    statements.clear()
    assert await story.log.finish(run, STOPPED, Decimal("0.000000123"), previous=3, cut_to=2) == Ended()
    assert len(statements) == 1
    *_, cut, end = await read_all(story.log, run.id)
    assert isinstance(cut, TextTruncated)
    assert (cut.seq, cut.length) == (4, 2)
    assert end == GenerationFinished(5, end.at, run.id, STOPPED.status, STOPPED.finish_reason)
    ended, reply = await story.generation(run.id), await story.message(run.reply_id)
    assert (ended.status, ended.finish_reason, ended.last_seq) == (STOPPED.status, STOPPED.finish_reason, 5)
    assert (ended.usage, ended.error, ended.cost) == (STOPPED.usage, STOPPED.error, Decimal("0.000000123"))
    assert (ended.attempts, ended.notices, ended.model_key) == (STOPPED.attempts, STOPPED.notices, STOPPED.model_key)
    assert (reply.text, reply.reasoning, reply.status) == ("Tr", "hm", MessageStatus.STOPPED)
    assert (reply.text_through_seq, reply.completed_at) == (5, ended.ended_at)
    assert (reply.model_key, reply.first_token_at) == (STOPPED.model_key, ended.first_token_at)
    conversation = (await story.conversations.conversations(story.owner, [run.conversation_id]))[run.conversation_id]
    assert conversation.last_message_at == conversation.updated_at == ended.ended_at


async def test_an_end_that_names_no_model_leaves_it(story: Story, run: Generation) -> None:
    await story.log.append([Append(run.id, 1, 1, (NewNotice(FALLBACK), NewStart(2, ModelKey("other"), 99)))])
    await story.finish(await story.generation(run.id), "")
    ended = await story.generation(run.id)
    assert (ended.model_key, ended.notices, ended.attempts) == (ModelKey("other"), (FALLBACK,), ())


@pytest.mark.parametrize(("attempt", "previous"), [(0, 1), (2, 1), (1, 0), (1, 2)])
async def test_only_the_owner_at_the_end_of_the_log_ends_a_run(
    story: Story, run: Generation, attempt: int, previous: int
) -> None:
    await story.database.execute("UPDATE generations SET attempt = 1")
    mine = replace(run, attempt=attempt)
    assert await story.log.finish(mine, STOPPED, None, previous=previous, cut_to=0) == Ended()
    assert await story.generation(run.id) == run
    assert (await story.message(run.reply_id)).status is MessageStatus.STREAMING


async def test_a_run_ends_once(story: Story, run: Generation) -> None:
    await story.queued(behind=run)
    ends = [story.log.finish(run, STOPPED, None, previous=1, cut_to=None) for _ in range(5)]
    ended = await asyncio.gather(*ends)
    assert (ended.count(Ended()), ended.count(Ended(awaited=True))) == (4, 1)
    assert len(await read_all(story.log, run.id)) == 2


async def test_the_first_stop_wins_and_is_clamped_to_the_log(story: Story, run: Generation) -> None:
    run = await story.write(run, "A", "B")
    first = await story.log.ask_to_stop(story.owner, run.id, StopRequest(99))
    second = await story.log.ask_to_stop(story.owner, run.id, StopRequest(None, FinishReason.INTERRUPT))
    assert first is not None
    assert second is not None
    assert (first.generation, first.already, second.already) == (run, False, True)
    assert await story.log.stops(NODE) == {run.id: StopRequest(3)}
    await story.finish(run, "AB")
    assert await story.log.stops(NODE) == {}
    ended = await story.log.ask_to_stop(story.owner, run.id, StopRequest(None))
    assert ended is not None
    assert ended.already


@pytest.mark.parametrize(("seen", "kept"), [(None, None), (-5, 0), (1, 1)])
async def test_a_stop_keeps_what_was_seen(story: Story, run: Generation, seen: int | None, kept: int | None) -> None:
    await story.log.ask_to_stop(story.owner, run.id, StopRequest(seen))
    assert await story.log.stops(NODE) == {run.id: StopRequest(kept)}
    assert await story.log.stops(NodeId(WORLD.new_id())) == {}


async def test_nobody_stops_or_reads_the_run_of_another(story: Story, run: Generation) -> None:
    stranger = (await Story.begun(story.database)).owner
    assert await story.log.ask_to_stop(stranger, run.id, StopRequest(None)) is None
    assert await story.generations.generations(stranger, [run.id]) == {}
    assert await story.generations.unfinished(stranger, 10) == []
    assert await story.generations.unfinished(story.owner, 10) == [run]


async def test_a_lease_is_renewed_by_its_node_for_its_live_runs(story: Story, run: Generation) -> None:
    other = await story.run(run.conversation_id)
    await expire(story)
    await story.log.renew(NODE, [run.id], LEASE)
    await story.log.renew(NodeId(WORLD.new_id()), [other.id], LEASE)
    assert await story.log.abandoned(10) == [other.id]


async def test_only_an_abandoned_run_is_taken_and_only_once(story: Story, run: Generation) -> None:
    nodes = [NodeId(WORLD.new_id()) for _ in range(5)]
    assert await story.log.take(run.id, nodes[0], LEASE, own=False) is None
    assert await story.log.take(run.id, nodes[0], LEASE, own=True) is None
    await expire(story)
    taken = await asyncio.gather(*(story.log.take(run.id, node, LEASE, own=False) for node in nodes))
    [mine] = [claimed for claimed in taken if claimed]
    assert mine == Claimed(await story.generation(run.id), None)
    assert (mine.generation.attempt, mine.generation.last_seq) == (2, 2)
    assert await story.log.abandoned(10) == []


async def test_what_was_not_shown_starts_over_and_what_was_shown_does_not(story: Story, run: Generation) -> None:
    shown = await story.write(await story.run((await story.conversation()).id), "A")
    await story.log.ask_to_stop(story.owner, shown.id, StopRequest(1, FinishReason.INTERRUPT))
    await expire(story)
    node = NodeId(WORLD.new_id())
    again = await story.log.take(run.id, node, LEASE, own=False)
    lost = await story.log.take(shown.id, node, LEASE, own=False)
    assert again == Claimed(replace(run, attempt=2, last_seq=2), None)
    assert lost == Claimed(replace(shown, attempt=2), StopRequest(1, FinishReason.INTERRUPT))
    starts = await read_all(story.log, run.id)
    assert starts == [GenerationStarted(n, starts[n - 1].at, run.id, n, run.model_key) for n in (1, 2)]
    assert [entry.seq for entry in await read_all(story.log, shown.id)] == [1, 2]


async def test_attempts_rise_in_a_log_also_over_fallbacks(story: Story, run: Generation) -> None:
    turned = NewNotice(FALLBACK), NewStart(2, ModelKey("other"), 99)
    await story.log.append([Append(run.id, 1, 1, turned)])
    await expire(story)
    taken = await story.log.take(run.id, NODE, LEASE, own=False)
    assert taken is not None
    third = taken.generation
    again = NewNotice(FALLBACK), NewStart(third.attempt + 1, ModelKey("other"), 99)
    await story.log.append([Append(run.id, third.attempt, third.last_seq, again)])
    await story.log.give_back(third)
    [claimed] = await story.log.claim(NODE, LEASE, Line("there", (ModelKey("other"),), None), 1)
    started = [entry for entry in await read_all(story.log, run.id) if isinstance(entry, GenerationStarted)]
    attempts = [entry.attempt for entry in started]
    assert attempts == sorted(set(attempts))
    assert attempts[-1] == claimed.generation.attempt


async def test_a_process_that_revives_can_neither_write_nor_end_nor_give_back(story: Story, run: Generation) -> None:
    await expire(story)
    taken = await story.log.take(run.id, NodeId(WORLD.new_id()), LEASE, own=False)
    assert taken is not None
    for previous in (1, 2):
        answer = await story.log.append([Append(run.id, 1, previous, deltas("zombie"))])
        assert answer == {run.id: Appended(2, 2, ended=False, stop=None)}
        await story.log.finish(run, STOPPED, None, previous=previous, cut_to=None)
    await story.log.give_back(run)
    await story.log.renew(NODE, [run.id], timedelta(days=1))
    assert await story.generation(run.id) == taken.generation
    await story.finish(taken.generation, "")
    assert [type(entry) for entry in await read_all(story.log, run.id)] == [
        GenerationStarted,
        GenerationStarted,
        GenerationFinished,
    ]


async def test_a_node_takes_what_the_process_before_it_left(story: Story, run: Generation) -> None:
    ended = await story.run(run.conversation_id)
    await story.finish(ended, "")
    assert await story.log.left_by(NODE, 10) == [run.id]
    taken = await story.log.take(run.id, NODE, LEASE, own=True)
    assert taken is not None
    assert taken.generation.attempt == 2
    assert await story.log.take(ended.id, NODE, LEASE, own=True) is None


async def test_whatever_is_written_at_once_never_deadlocks(story: Story) -> None:
    conversation, doomed = await story.conversation(), [await story.conversation() for _ in range(5)]
    line, chance = Line("here", (ModelKey("llama"),), 5), Random(1)
    runs = [await story.run(conversation.id) for _ in range(20)]
    queue = [await story.queued(each.id) for each in [*doomed, conversation, conversation] for _ in range(3)]
    doing: list[Coroutine[None, None, object]] = [story.run(conversation.id) for _ in range(20)]
    doing += [story.queued(conversation.id) for _ in range(10)]
    doing += [story.finish(run, "") for run in runs[5:]]
    doing += [story.log.give_back(run) for run in runs[:5]]
    doing += [story.log.ask_to_stop(story.owner, run.id, StopRequest(None)) for run in runs + queue[-6:]]
    doing += [story.log.append([Append(run.id, 1, 1, ()) for run in runs]) for _ in range(20)]
    doing += [story.log.renew(NODE, [run.id for run in (runs + queue)[::step]], LEASE) for step in (1, -1) * 10]
    doing += [story.log.claim(NODE, LEASE, line, 3) for _ in range(20)]
    doing += [story.generations.compact(timedelta(0), 3) for _ in range(10)]
    doing += [delete(story, each) for each in doomed]
    chance.shuffle(doing)
    await asyncio.gather(*doing)
    found = await story.generations.unfinished(story.owner, 100)
    assert len(found) == 5 + 6 + 30
    for run in found:
        assert [entry.seq for entry in await read_all(story.log, run.id)] == list(range(1, run.last_seq + 1))


async def test_a_deletion_does_not_replace_the_reason_of_an_earlier_stop(story: Story, run: Generation) -> None:
    await story.log.ask_to_stop(story.owner, run.id, StopRequest(1))
    async with story.conversations.writing() as writing:
        await writing.delete(story.owner, run.conversation_id, NOW)
    assert await story.log.stops(NODE) == {run.id: StopRequest(1, FinishReason.USER_STOP)}


async def test_a_deleted_conversation_stops_its_runs_which_still_end(story: Story, run: Generation) -> None:
    done = await story.run(run.conversation_id)
    await story.finish(done, "")
    async with story.conversations.writing() as writing:
        assert await writing.delete(story.owner, run.conversation_id, NOW) == [run.id]
        assert await writing.delete(story.owner, run.conversation_id, NOW) is None
    assert await story.log.stops(NODE) == {run.id: StopRequest(None, FinishReason.CANCELLED)}
    assert await story.generations.generations(story.owner, [run.id]) == {}
    assert await story.generations.unfinished(story.owner, 10) == []
    assert await story.messages.messages(story.owner, [run.reply_id]) == {}
    assert await story.log.ask_to_stop(story.owner, run.id, StopRequest(None)) is None
    await story.finish(run, "")


async def test_what_no_column_takes_is_refused_without_its_words(story: Story, run: Generation) -> None:
    for words in ("secret\0", "secret\ud800"):
        with pytest.raises(Unstorable) as refused:
            await story.log.append([Append(run.id, 1, 1, deltas(words))])
        assert "secret" not in str(refused.value)
        assert refused.value.__cause__ is None
    assert (await story.log.append([Append(run.id, 1, 1, deltas("good"))]))[run.id].last_seq == 2


@asynccontextmanager
async def locked(story: Story, run: Generation) -> AsyncIterator[None]:
    async with story.database.transaction() as session:
        await session.fetch("SELECT 1 FROM generations WHERE id = $1 FOR UPDATE", run.id)
        yield


async def delete(story: Story, conversation: Conversation) -> None:
    async with story.conversations.writing() as writing:
        assert await writing.delete(story.owner, conversation.id, NOW) is not None


async def expire(story: Story) -> None:
    await story.database.execute("UPDATE generations SET lease_until = now() - $1::interval", timedelta(seconds=1))


async def add_event(story: Story, run: Generation, *, seq: int, kind: int, position: int, detail: str) -> None:
    await story.database.execute(
        "INSERT INTO generation_events (generation_id, seq, at, kind, position, detail) VALUES ($1, $2, now(), $3, $4, $5)",
        run.id,
        seq,
        kind,
        position,
        detail,
    )


def new_run_like(run: Generation) -> Generation:
    return replace(run, id=GenerationId(WORLD.new_id()))
