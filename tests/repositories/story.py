"""Users, conversations, messages and runs, put into the database in a line each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.conversation.entity import Conversation, ConversationState, TitleSource
from domain.conversation.store import Draft, Memo, NewRun, Remembered
from domain.generation.entity import (
    Ending,
    FinishReason,
    Generation,
    GenerationSettings,
    GenerationStatus,
    GenerationTrigger,
)
from domain.generation.log import Append, NewText
from domain.message import Message, MessageRole, MessageStatus
from domain.model import ModelKey
from domain.page import PageArgs
from domain.text import units
from domain.user import Role, User
from domain.world import ConversationId, GenerationId, MessageId, NodeId, RealWorld, UserId
from repositories.conversation.events import SqlEvents
from repositories.conversation.store import SqlConversations
from repositories.database import Database
from repositories.generation.log import SqlTokenLog
from repositories.generation.store import SqlGenerations
from repositories.message.store import SqlMessages
from repositories.user import SqlUsers
from tests.waiting import until

WORLD = RealWorld()
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LEASE = timedelta(minutes=1)
NODE = NodeId(WORLD.new_id())
ALL = PageArgs(size=1_000_000)


@dataclass(frozen=True, slots=True)
class Story:
    database: Database
    owner: UserId

    @classmethod
    async def begun(cls, database: Database) -> "Story":
        user = User(UserId(WORLD.new_id()), "Ada", Role.USER, NOW)
        await SqlUsers(database).add_user(user)
        return cls(database, user.id)

    @property
    def conversations(self) -> SqlConversations:
        return SqlConversations(self.database, WORLD)

    @property
    def messages(self) -> SqlMessages:
        return SqlMessages(self.database)

    @property
    def generations(self) -> SqlGenerations:
        return SqlGenerations(self.database)

    @property
    def events(self) -> SqlEvents:
        return SqlEvents(self.database)

    @property
    def log(self) -> SqlTokenLog:
        return SqlTokenLog(self.database)

    async def conversation(self, **fields: object) -> Conversation:
        conversation = new_conversation(self.owner, **fields)
        async with self.conversations.writing() as writing:
            await writing.open(conversation)
        return conversation

    async def say(self, conversation_id: ConversationId, parent: Message | None, *texts: str) -> list[Message]:
        """A chain below `parent`; its end becomes the active leaf."""
        async with self.conversations.writing() as writing:
            tree = await writing.lock(self.owner, conversation_id)
            assert tree is not None
            grown = await tree.grow([draft(text) for text in texts], parent)
        return list(grown.messages)

    async def run(
        self, conversation_id: ConversationId, parent: Message | None = None, node: NodeId = NODE
    ) -> Generation:
        """A question below `parent` and a reply that a run begins to write."""
        return await self._begun(conversation_id, parent, node)

    async def queued(
        self, conversation_id: ConversationId | None = None, behind: Generation | None = None, **fields: object
    ) -> Generation:
        """A question and a reply that waits for its turn: in a conversation of its own, or below the reply of `behind`."""
        if conversation_id is None:
            conversation_id = behind.conversation_id if behind else (await self.conversation()).id
        parent = await self.message(behind.reply_id) if behind else None
        waiting = {"status": GenerationStatus.QUEUED, "started_at": None, "last_seq": 0}
        ahead = {"waits_for": behind.id if behind else None}
        return await self._begun(conversation_id, parent, NODE, **(waiting | ahead | fields))

    async def _begun(
        self, conversation_id: ConversationId, parent: Message | None, node: NodeId, **fields: object
    ) -> Generation:
        async with self.conversations.writing() as writing:
            tree = await writing.lock(self.owner, conversation_id)
            assert tree is not None
            reply = draft_of_reply()
            run = replace(new_generation(reply, tree.conversation), **fields)  # type: ignore[arg-type]  # any of its fields
            await tree.grow([draft("What is a tree?"), reply], parent, NewRun(run, node, LEASE))
        return run

    async def write(self, generation: Generation, *texts: str) -> Generation:
        deltas, at = [], 0
        for text in texts:
            deltas.append(NewText(text, at))
            at += units(text)
        batch = [Append(generation.id, generation.attempt, generation.last_seq, tuple(deltas))]
        await self.log.append(batch)
        return await self.generation(generation.id)

    async def finish(self, generation: Generation, text: str) -> None:
        await self.end(generation, text)
        found = await self.database.fetch("SELECT ended_at FROM generations WHERE id = $1", generation.id)
        assert [row["ended_at"] is None for row in found] == [False]

    async def end(self, generation: Generation, text: str) -> bool:
        """True: others waited for it."""
        said = ending(text)
        ended = await self.log.finish(generation, said, None, previous=generation.last_seq, cut_to=None)
        if ended.stop is not None:
            said = replace(said, status=GenerationStatus.STOPPED, finish_reason=ended.stop.reason)
            ended = await self.log.finish(generation, said, None, previous=generation.last_seq, cut_to=None)
        return ended.awaited

    async def message(self, message_id: MessageId) -> Message:
        return (await self.messages.messages(self.owner, [message_id]))[message_id]

    async def generation(self, generation_id: GenerationId) -> Generation:
        return (await self.generations.generations(self.owner, [generation_id]))[generation_id]


def ending(text: str) -> Ending:
    return Ending(GenerationStatus.COMPLETED, FinishReason.STOP, text)


def new_conversation(owner: UserId, **fields: object) -> Conversation:
    known: dict[str, object] = {
        "id": ConversationId(WORLD.new_id()),
        "owner_id": owner,
        "title": None,
        "title_source": TitleSource.NONE,
        "state": ConversationState.ACTIVE,
        "version": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Conversation(**(known | fields))  # type: ignore[arg-type]


def draft(text: str, role: MessageRole = MessageRole.USER) -> Draft:
    return Draft(MessageId(WORLD.new_id()), role, MessageStatus.COMPLETE, text, NOW)


def draft_of_reply() -> Draft:
    """A run has still to write it."""
    reply = draft("", MessageRole.ASSISTANT)
    return replace(reply, status=MessageStatus.PENDING, generation_id=GenerationId(WORLD.new_id()))


def new_generation(reply: Draft, conversation: Conversation) -> Generation:
    model = ModelKey("llama")
    assert reply.generation_id is not None
    return Generation(
        id=reply.generation_id,
        conversation_id=conversation.id,
        owner_id=conversation.owner_id,
        reply_id=reply.id,
        trigger=GenerationTrigger.SEND,
        status=GenerationStatus.RUNNING,
        model_key=model,
        requested_model_key=model,
        settings=GenerationSettings(model=model, temperature=0.5, stop=("END",)),
        estimated_input_tokens=7,
        queued_at=NOW,
        started_at=NOW,
        last_seq=1,
    )


def memo(owner: UserId, key: str, **ids: UUID) -> Memo:
    return Memo(owner, key, Remembered(b"print", ids))


def texts(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages]


async def somebody_waits(story: Story) -> None:
    """For a lock."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    await until("somebody waits for a lock", lambda: story.database.fetch(waiting))
