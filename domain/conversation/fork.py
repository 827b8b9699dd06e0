"""Forks: a part of a tree, copied into a conversation of its own."""

from collections.abc import Sequence
from dataclasses import replace

from domain.conversation.commands import ForkConversation, fingerprint
from domain.conversation.entity import Conversation, ConversationState, TitleSource
from domain.conversation.rules import check_title
from domain.conversation.service import Created, recall, replayed
from domain.conversation.store import ConversationStore, KeyTaken, Memo, Remembered
from domain.errors import LimitedResource, LimitReached, NotFound
from domain.generation.runs import Runs
from domain.generation.wakes import Wakes
from domain.message import Message, MessageStore
from domain.problems import Problems
from domain.user import Viewer
from domain.world import ConversationId, World

MOST_AT_ONCE = 10_000
# Of all forks of a user that are not deleted: a loop of forks must not store for free.
MOST_OF_A_USER = 100_000


class Forks:
    def __init__(
        self, conversations: ConversationStore, messages: MessageStore, *, runs: Runs, wakes: Wakes, world: World
    ) -> None:
        self._conversations, self._messages = conversations, messages
        self._runs, self._wakes, self._world = runs, wakes, world

    async def fork(self, viewer: Viewer, command: ForkConversation) -> Created:
        """Raises Banned, InvalidInput, NotFound, LimitReached, KeyReused, ServerDraining."""
        if done := await recall(self._conversations, viewer, command.idempotency_key, fingerprint(command)):
            return await replayed(self._conversations, viewer, done)
        viewer.require_writing()
        self._runs.require_open()
        self._check(command)
        message, origin = await self._origin(viewer, command)
        try:
            forked = await self._copied(viewer, command, message, self._opened(origin, command))
        except KeyTaken:
            return await self.fork(viewer, command)
        self._wakes.wake([forked.id, viewer.id])
        return Created(forked, replayed=False)

    def _check(self, command: ForkConversation) -> None:
        problems = Problems()
        problems.key(command.idempotency_key)
        check_title(problems, command.title, ("title",))
        problems.refuse()

    async def _origin(self, viewer: Viewer, command: ForkConversation) -> tuple[Message, Conversation]:
        message = (await self._messages.messages(viewer.id, [command.message])).get(command.message)
        ids: Sequence[ConversationId] = [message.conversation_id] if message else []
        origin = next(iter((await self._conversations.conversations(viewer.id, ids)).values()), None)
        if message is None or origin is None:
            raise NotFound("input", "message")
        return message, origin

    def _opened(self, origin: Conversation, command: ForkConversation) -> Conversation:
        """All that is said of the origin, and nothing that has happened to it."""
        now = self._world.now()
        return replace(
            origin,
            id=ConversationId(self._world.new_id()),
            title=command.title or origin.title,
            title_source=TitleSource.USER if command.title else origin.title_source,
            state=ConversationState.ACTIVE,
            version=1,
            created_at=now,
            updated_at=now,
            last_message_at=None,
            pinned=False,
            message_count=0,
            root_count=0,
            active_leaf_id=None,
            has_unread=False,
            forked_from_id=command.message,
            event_seq=0,
        )

    async def _copied(
        self, viewer: Viewer, command: ForkConversation, message: Message, fork: Conversation
    ) -> Conversation:
        """One transaction, one commit. Raises KeyTaken."""
        done = Remembered(fingerprint(command), {"conversation": fork.id})
        async with self._conversations.writing(Memo(viewer.id, command.idempotency_key, done)) as writing:
            part = await writing.part(message, command.scope)
            if part is None:
                raise NotFound("input", "message")
            _require_room(part.size, part.stored)
            forked = await writing.copy(part, fork)
            # It may have grown since it was counted.
            _require_room(forked.message_count, part.stored)
            return forked


def _require_room(size: int, stored: int) -> None:
    """Raises LimitReached."""
    if size > MOST_AT_ONCE:
        raise LimitReached(LimitedResource.FORKED_MESSAGES, active=size, limit=MOST_AT_ONCE)
    if stored + size > MOST_OF_A_USER:
        raise LimitReached(LimitedResource.FORKED_MESSAGES, active=stored, limit=MOST_OF_A_USER)
