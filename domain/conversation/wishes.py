"""What each way to start a reply asks for: a send, an edit, a regeneration. From there on they are one."""

from dataclasses import dataclass
from typing import assert_never

from domain.conversation.commands import EditMessage, RegenerateReply, SendMessage
from domain.conversation.entity import Conversation
from domain.conversation.rules import LIMITS, check_instruction, check_settings
from domain.conversation.service import check_new
from domain.conversation.store import ConversationStore
from domain.errors import InputRule, NotFound
from domain.generation.entity import GenerationSettings, GenerationTrigger
from domain.generation.log import GenerationStore
from domain.message import Message, MessageRole, MessageStore
from domain.model import Models
from domain.problems import Problems
from domain.response_format import JsonChecker
from domain.user import Viewer
from domain.world import ConversationId, MessageId

Starting = SendMessage | EditMessage | RegenerateReply


@dataclass(frozen=True, slots=True)
class Wish:
    """`text` is said below `parent` (None: as a new root), or stands there already: then it is that of `asked`.

    `conversation` None: a new one. `follows`: the parent is the active leaf, wherever that moves.
    """

    conversation: Conversation | None
    parent: MessageId | None
    text: str
    settings: GenerationSettings
    trigger: GenerationTrigger
    instruction: str | None
    asked: Message | None = None
    follows: bool = False


class Wishes:
    def __init__(
        self,
        conversations: ConversationStore,
        messages: MessageStore,
        generations: GenerationStore,
        models: Models,
        checker: JsonChecker,
    ) -> None:
        self._conversations, self._messages, self._generations = conversations, messages, generations
        self._models, self._checker = models, checker

    async def of(self, viewer: Viewer, command: Starting) -> Wish:
        """Raises NotFound, ConversationClosed, InvalidInput."""
        match command:
            case SendMessage():
                return await self._of_send(viewer, command)
            case EditMessage():
                return await self._of_edit(viewer, command)
            case RegenerateReply():
                return await self._of_regeneration(viewer, command)
            case _:
                assert_never(command)

    async def _of_send(self, viewer: Viewer, command: SendMessage) -> Wish:
        conversation = await self._conversation(viewer, command.conversation, "conversation")
        await self._require_parent(viewer, command)
        await self._check_send(command)
        weaker = conversation.settings if conversation else _new_settings(command)
        return Wish(
            conversation,
            command.parent or (conversation.active_leaf_id if conversation else None),
            command.text,
            command.settings.over(weaker),
            GenerationTrigger.SEND,
            command.instruction,
            follows=command.parent is None,
        )

    async def _of_edit(self, viewer: Viewer, command: EditMessage) -> Wish:
        message, conversation = await self._named(viewer, command.message, "message")
        problems = await self._problems(command)
        problems.text(command.text, ("text",), LIMITS.text_length)
        if message.role is not MessageRole.USER:
            problems.add(InputRule.WRONG_ROLE, ("message",), "Only what the user said can be edited.")
        problems.refuse()
        settings = command.settings.over(conversation.settings)
        return Wish(
            conversation, message.parent_id, command.text, settings, GenerationTrigger.EDIT, command.instruction
        )

    async def _of_regeneration(self, viewer: Viewer, command: RegenerateReply) -> Wish:
        """As the old reply was asked for, where the command does not say otherwise."""
        reply, conversation = await self._named(viewer, command.reply, "reply")
        problems = await self._problems(command)
        if reply.role is not MessageRole.ASSISTANT:
            problems.add(InputRule.WRONG_ROLE, ("reply",), "Only a model's reply can be regenerated.")
        elif reply.parent_id is None:
            problems.add(InputRule.WRONG_ROLE, ("reply",), "It begins a fork, and answers nothing there.")
        problems.refuse()
        runs = await self._generations.generations(viewer.id, [reply.generation_id] if reply.generation_id else [])
        before = next(iter(runs.values()), None)
        settings = command.settings.over(before.settings if before else GenerationSettings()).over(
            conversation.settings
        )
        instruction = command.instruction or (before.instruction if before else None)
        assert reply.parent_id is not None, "a root was refused"
        asked = (await self._messages.messages(viewer.id, [reply.parent_id])).get(reply.parent_id)
        if asked is None:
            raise NotFound("input", "reply")
        trigger = GenerationTrigger.REGENERATE
        return Wish(conversation, asked.parent_id, asked.text, settings, trigger, instruction, asked)

    async def _named(self, viewer: Viewer, message_id: MessageId, name: str) -> tuple[Message, Conversation]:
        message = (await self._messages.messages(viewer.id, [message_id])).get(message_id)
        if message is None:
            raise NotFound("input", name)
        conversation = await self._conversation(viewer, message.conversation_id, name)
        assert conversation is not None, "one is named"
        return message, conversation

    async def _conversation(
        self, viewer: Viewer, conversation_id: ConversationId | None, name: str
    ) -> Conversation | None:
        if conversation_id is None:
            return None
        found = (await self._conversations.conversations(viewer.id, [conversation_id])).get(conversation_id)
        if found is None:
            raise NotFound("input", name)
        found.require_open()
        return found

    async def _require_parent(self, viewer: Viewer, command: SendMessage) -> None:
        """Parents are for ever, so this needs no second look under the lock."""
        if command.parent is None or command.conversation is None:
            return
        found = await self._messages.messages(viewer.id, [command.parent])
        if command.parent not in found or found[command.parent].conversation_id != command.conversation:
            raise NotFound("input", "parent")

    async def _check_send(self, command: SendMessage) -> None:
        problems = Problems()
        problems.key(command.idempotency_key)
        problems.text(command.text, ("text",), LIMITS.text_length)
        _check_fields_agree(problems, command)
        await check_settings(problems, command.settings, self._models, self._checker, ("settings",))
        check_instruction(problems, command.instruction, ("instruction",))
        if command.new_conversation is not None:
            await check_new(problems, command.new_conversation, self._models, self._checker, ("newConversation",))
        problems.refuse()

    async def _problems(self, command: EditMessage | RegenerateReply) -> Problems:
        problems = Problems()
        problems.key(command.idempotency_key)
        await check_settings(problems, command.settings, self._models, self._checker, ("settings",))
        check_instruction(problems, command.instruction, ("instruction",))
        return problems


def _new_settings(command: SendMessage) -> GenerationSettings:
    return command.new_conversation.settings if command.new_conversation else GenerationSettings()


def _check_fields_agree(problems: Problems, command: SendMessage) -> None:
    if command.conversation is not None and command.new_conversation is not None:
        message = "Give `conversation` to go on, or `newConversation` to start one."
        problems.add(InputRule.CONFLICTING_FIELDS, ("newConversation",), message)
    if command.parent is not None and command.expected_leaf is not None:
        message = "`expectedLeaf` guards the active leaf: leave it out when you name the `parent`."
        problems.add(InputRule.CONFLICTING_FIELDS, ("expectedLeaf",), message)
    if command.conversation is None and command.parent is not None:
        problems.add(InputRule.CONFLICTING_FIELDS, ("parent",), "A new conversation has no message to answer.")
    if command.conversation is None and command.expected_leaf is not None:
        problems.add(InputRule.CONFLICTING_FIELDS, ("expectedLeaf",), "A new conversation has no leaf yet.")
