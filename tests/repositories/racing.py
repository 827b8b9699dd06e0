"""Other processes that do to the same database what a test tells them: `python -m tests.repositories.racing ...`."""

import asyncio
import random
import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from uuid import UUID

from domain.conversation.commands import ForkScope
from domain.conversation.store import KeyTaken
from domain.errors import LimitReached, Unavailable
from domain.generation.entity import Ending, FinishReason, Generation, GenerationStatus
from domain.generation.log import Line
from domain.generation.wakes import Wakes
from domain.instruction import InstructionScope, Publication
from domain.job import Job, JobHandler, JobKind
from domain.message import Message
from domain.model import ModelKey
from domain.world import ConversationId, MessageId, NodeId, UserId
from repositories.conversation.store import SqlConversations
from repositories.database import Database, open_database
from repositories.generation.log import SqlTokenLog
from repositories.instruction import SqlInstructions
from repositories.job.worker import JobWorker, Pace
from repositories.migrate import migrate
from tests.repositories.admitting import ONE, Customer
from tests.repositories.story import LEASE, WORLD, Story, draft, memo, new_conversation
from tests.waiting import PATIENCE_SECONDS

# Racers that take it in common begin when nobody holds it alone any more.
STARTING_GUN = 42


async def raced(*racers: tuple[object, ...], seconds: float = PATIENCE_SECONDS) -> list[str]:
    """What each process printed."""
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.repositories.racing", *map(str, racer), stdout=asyncio.subprocess.PIPE
        )
        for racer in racers
    ]
    try:
        async with asyncio.timeout(seconds):
            outputs = [(await process.communicate())[0].decode().strip() for process in processes]
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert [process.returncode for process in processes] == [0] * len(racers)
    return outputs


async def apply(url: str) -> int:
    return len(await migrate(url))


async def reply(url: str, owner: str, conversation: str, parent: str, count: str) -> int:
    """`count` replies to one message, all at once."""
    async with open_database(url, 10) as database:
        story = Story(database, UserId(UUID(owner)))
        message = await story.message(MessageId(UUID(parent)))
        conversation_id = ConversationId(UUID(conversation))
        added = await asyncio.gather(*(story.say(conversation_id, message, f"{n}") for n in range(int(count))))
    return len(added)


async def send(url: str, owner: str, conversation: str, key: str, tries: str) -> int:
    """The same mutation `tries` times at once; answers how often it was done."""
    async with open_database(url, 10) as database:
        story = Story(database, UserId(UUID(owner)))
        done = await asyncio.gather(
            *(send_once(story, ConversationId(UUID(conversation)), key) for _ in range(int(tries)))
        )
    return sum(done)


async def send_once(story: Story, conversation_id: ConversationId, key: str) -> bool:
    try:
        async with story.conversations.writing(memo(story.owner, key, conversation=conversation_id)) as writing:
            tree = await writing.lock(story.owner, conversation_id)
            assert tree is not None
            await tree.grow([draft("once")], None)
    except KeyTaken:
        return False
    return True


async def work(url: str, capacity: str) -> int:
    """Plays what it claims until nothing is left; answers how many runs it ever saw alive in the line."""
    most, node, line = 0, NodeId(WORLD.new_id()), Line("here", (ModelKey("llama"),), int(capacity))
    async with open_database(url, 10) as database:
        log = SqlTokenLog(database)
        while await counted(database, "ended_at IS NULL"):
            mine = await log.claim(node, LEASE, line, 100)
            most = max(most, await counted(database, "line = 'here' AND ended_at IS NULL"))
            await asyncio.gather(*(play(log, each.generation) for each in mine))
    return most


async def play(log: SqlTokenLog, run: Generation) -> None:
    await asyncio.sleep(random.uniform(0, 0.02))
    ending = Ending(GenerationStatus.COMPLETED, FinishReason.STOP, "A tree")
    await log.finish(run, ending, None, previous=run.last_seq, cut_to=None)


async def counted(database: Database, condition: str) -> int:
    [row] = await database.fetch(f"SELECT count(*) FROM generations WHERE {condition}")
    return int(row["count"])


async def admit(url: str, tries: str, *groups: str) -> str:
    """For each group of users in turn, `tries` sends of each at once; answers how many of each user's were admitted."""
    async with open_database(url, 10) as database:
        owners = [[UserId(UUID(owner)) for owner in group.split(",")] for group in groups]
        customers = [[await Customer.stored(database, owner) for owner in group] for group in owners]
        await database.fetch("SELECT pg_advisory_lock_shared($1)", STARTING_GUN)
        admitted = [await _admit_at_once(group, int(tries)) for group in customers]
    return " ".join(",".join(map(str, counts)) for counts in admitted)


async def _admit_at_once(customers: list[Customer], tries: int) -> list[int]:
    turns = customers * tries
    runs = await asyncio.gather(*map(send_patiently, turns))
    return [
        sum(run is not None for run, whose in zip(runs, turns, strict=True) if whose is customer)
        for customer in customers
    ]


async def open_many(url: str, owner: str, tries: str, most: str) -> int:
    """`tries` conversations at once, every other one by forking; answers how many were opened."""
    async with open_database(url, 10) as database:
        story = Story(database, UserId(UUID(owner)))
        store = SqlConversations(database, WORLD, int(most))
        [row] = await database.fetch("SELECT id FROM messages LIMIT 1")
        origin = await story.message(MessageId(row["id"]))
        await database.fetch("SELECT pg_advisory_lock_shared($1)", STARTING_GUN)
        opened = await asyncio.gather(*(_open_once(store, story, origin if n % 2 else None) for n in range(int(tries))))
    return sum(opened)


async def _open_once(store: SqlConversations, story: Story, origin: Message | None) -> bool:
    while True:
        try:
            async with store.writing() as writing:
                if origin is None:
                    await writing.open(new_conversation(story.owner))
                else:
                    part = await writing.part(origin, ForkScope.PATH)
                    assert part is not None
                    await writing.copy(part, new_conversation(story.owner))
        except LimitReached:
            return False
        except Unavailable:
            continue
        return True


async def send_patiently(customer: Customer) -> Generation | None:
    """So many at once wait for connections longer than one of them may; nothing was counted then."""
    while True:
        try:
            return await customer.send(ONE)
        except Unavailable:
            continue


async def publish(url: str, owner: str, versions: str) -> int:
    """Replaces whatever version is in force until there are so many; answers how often it was the first to."""
    first = 0
    async with open_database(url, 10) as database:
        instructions = SqlInstructions(database, WORLD)
        for version in range(int(versions)):
            publication = Publication(InstructionScope.PLATFORM, "", f"{version}", version)
            first += await instructions.publish(publication, UserId(UUID(owner))) is not None
    return first


async def do_jobs(url: str) -> int:
    """Until there are none."""
    done: list[Job] = []

    async def do(job: Job) -> None:
        done.append(job)

    async with open_database(url, 10) as database:
        working = asyncio.ensure_future(_worker(database, do).run())
        while (await database.fetch("SELECT count(*) AS left FROM pgqueuer"))[0]["left"]:
            await asyncio.sleep(0.01)
        working.cancel()
        await asyncio.wait([working])
    return len(done)


async def hold_a_job(url: str) -> int:
    """For ever."""

    async def do(_: Job) -> None:
        print("begun", flush=True)
        await asyncio.Event().wait()

    async with open_database(url, 10) as database:
        await _worker(database, do).run()
    return 0


def _worker(database: Database, do: JobHandler) -> JobWorker:
    return JobWorker(database, Wakes(), {JobKind.TITLE: do}, pace=Pace(look=timedelta(milliseconds=50)))


if __name__ == "__main__":
    doing: dict[str, Callable[..., Coroutine[None, None, int | str]]] = {
        "admit": admit,
        "apply": apply,
        "do_jobs": do_jobs,
        "hold_a_job": hold_a_job,
        "open_many": open_many,
        "publish": publish,
        "reply": reply,
        "send": send,
        "work": work,
    }
    print(asyncio.run(doing[sys.argv[1]](*sys.argv[2:])))
