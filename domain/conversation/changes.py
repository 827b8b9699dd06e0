"""What users change about a conversation: its own fields, its state, the branch it shows, and that it is read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from domain.conversation.commands import UpdateConversation
from domain.conversation.entity import Conversation, RequestedState
from domain.conversation.rules import check_instruction, check_policy, check_settings, check_tags, check_title
from domain.conversation.store import ConversationStore, Tree
from domain.errors import NotFound, StaleVersion
from domain.generation.runs import Runs
from domain.generation.wakes import Wakes
from domain.message import MessageStore
from domain.model import Models
from domain.problems import Problems
from domain.response_format import JsonChecker
from domain.user import Viewer
from domain.world import ConversationId, MessageId, World


class Changes:
    def __init__(
        self,
        conversations: ConversationStore,
        messages: MessageStore,
        *,
        models: Models,
        checker: JsonChecker,
        runs: Runs,
        wakes: Wakes,
        world: World,
    ) -> None:
        self._conversations, self._messages = conversations, messages
        self._models, self._checker = models, checker
        self._runs, self._wakes, self._world = runs, wakes, world

    async def update(self, viewer: Viewer, command: UpdateConversation) -> Conversation:
        """Raises Banned, InvalidInput, NotFound, ConversationClosed, StaleVersion, ServerDraining."""
        viewer.require_writing()
        self._runs.require_open()
        await self._check(command)
        async with self._locked(viewer, command.conversation, "input", "conversation") as tree:
            before = tree.conversation
            before.require_writable()
            if command.expected_version not in (None, before.version):
                raise StaleVersion(before)
            changed, told = command.applied_to(before), False
            if command.clears_instruction or command.instruction is not None:
                told = await tree.instruct(command.instruction)
            if changed == before and not told:
                return before
            return await tree.change(replace(changed, version=before.version + 1, updated_at=self._world.now()))

    async def set_state(
        self, viewer: Viewer, conversation_id: ConversationId | None, state: RequestedState
    ) -> Conversation:
        """Runs that were accepted go on to their ends. Raises Banned, NotFound, IllegalTransition, ServerDraining."""
        viewer.require_writing()
        self._runs.require_open()
        async with self._locked(viewer, conversation_id, "conversation") as tree:
            changed = tree.conversation.become(state)
            if changed == tree.conversation:
                return changed
            return await tree.change(replace(changed, updated_at=self._world.now()))

    async def select(self, viewer: Viewer, message_id: MessageId | None) -> Conversation:
        """Shows the branch of a message, down to its leaf. Raises NotFound, ConversationClosed, ServerDraining."""
        self._runs.require_open()
        found = await self._messages.messages(viewer.id, [message_id] if message_id else [])
        message = next(iter(found.values()), None)
        if message is None:
            raise NotFound("message")
        async with self._locked(viewer, message.conversation_id, "message") as tree:
            tree.conversation.require_writable()
            leaf = await tree.leaf_below(message.id)
            if leaf.id == tree.conversation.active_leaf_id:
                return tree.conversation
            return await tree.show(leaf, self._world.now())

    async def mark_read(self, viewer: Viewer, conversation_id: ConversationId | None) -> Conversation:
        """A reply that ends meanwhile is unread. Raises NotFound."""
        found = await self._conversations.conversations(viewer.id, [conversation_id] if conversation_id else [])
        conversation = next(iter(found.values()), None)
        if conversation is not None and not conversation.has_unread:
            return conversation
        async with self._locked(viewer, conversation_id, "conversation") as tree:
            return await tree.change(replace(tree.conversation, has_unread=False))

    @asynccontextmanager
    async def _locked(self, viewer: Viewer, conversation_id: ConversationId | None, *path: str) -> AsyncIterator[Tree]:
        """Its followers are woken after the commit. Raises NotFound."""
        async with self._conversations.writing() as writing:
            tree = await writing.lock(viewer.id, conversation_id) if conversation_id else None
            if tree is None:
                raise NotFound(*path)
            yield tree
        self._wakes.wake([tree.conversation.id, viewer.id])

    async def _check(self, command: UpdateConversation) -> None:
        problems = Problems()
        check_title(problems, command.title, ("title",))
        check_tags(problems, command.tags or (), ("tags",))
        await check_settings(problems, command.settings.given, self._models, self._checker, ("settings",))
        check_policy(problems, command.context_policy, ("contextPolicy",))
        check_instruction(problems, command.instruction, ("instruction",))
        problems.refuse()
