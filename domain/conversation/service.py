"""Opening, listing and deleting conversations."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.conversation.commands import CreateConversation, NewConversation, fingerprint
from domain.conversation.entity import (
    Conversation,
    ConversationFilter,
    ConversationOrder,
    ConversationState,
    TitleSource,
)
from domain.conversation.rules import check_instruction, check_policy, check_settings, check_tags, check_title
from domain.conversation.store import ConversationStore, KeyTaken, Memo, Remembered
from domain.errors import KeyReused, NotFound
from domain.generation.runs import Runs
from domain.generation.wakes import Wakes
from domain.model import Models
from domain.page import Page, PageArgs
from domain.problems import Problems
from domain.response_format import JsonChecker
from domain.text import storable
from domain.user import Viewer
from domain.window.policy import ContextPolicy
from domain.world import ConversationId, UserId, World


@dataclass(frozen=True, slots=True)
class Created:
    conversation: Conversation
    replayed: bool


class Conversations:
    def __init__(
        self, store: ConversationStore, *, models: Models, checker: JsonChecker, runs: Runs, wakes: Wakes, world: World
    ) -> None:
        self._store, self._models, self._checker = store, models, checker
        self._runs, self._wakes, self._world = runs, wakes, world

    async def by_id(self, viewer: Viewer, ids: Sequence[ConversationId]) -> dict[ConversationId, Conversation]:
        return await self._store.conversations(viewer.id, ids)

    async def listed(
        self, viewer: Viewer, having: ConversationFilter, order: ConversationOrder, page: PageArgs
    ) -> Page[Conversation]:
        if not all(map(storable, (*having.tags, having.title_contains or ""))):
            return Page((), has_next_page=False, has_previous_page=False)
        return await self._store.listed(viewer.id, having, order, page)

    async def create(self, viewer: Viewer, command: CreateConversation) -> Created:
        """Raises Banned, InvalidInput, LimitReached, KeyReused, NotFound (made under this key and deleted since), ServerDraining."""
        if done := await recall(self._store, viewer, command.idempotency_key, fingerprint(command)):
            return await replayed(self._store, viewer, done)
        viewer.require_writing()
        self._runs.require_open()
        problems = Problems()
        problems.key(command.idempotency_key)
        await check_new(problems, command.new, self._models, self._checker, ())
        problems.refuse()
        conversation = opened(viewer.id, command.new, self._world)
        done = Remembered(fingerprint(command), {"conversation": conversation.id})
        try:
            async with self._store.writing(Memo(viewer.id, command.idempotency_key, done)) as writing:
                await writing.open(conversation, command.new.instruction)
        except KeyTaken:
            return await self.create(viewer, command)
        self._wakes.wake([conversation.id, viewer.id])
        return Created(conversation, replayed=False)

    async def delete(self, viewer: Viewer, conversation_id: ConversationId | None) -> ConversationId:
        """Raises NotFound, ServerDraining. Its runs are stopped; its rows go later, in small batches."""
        self._runs.require_open()
        if conversation_id is None:
            raise NotFound("conversation")
        async with self._store.writing() as writing:
            stopped = await writing.delete(viewer.id, conversation_id, self._world.now())
        if stopped is None:
            raise NotFound("conversation")
        self._wakes.wake([conversation_id, viewer.id])
        if stopped:
            self._runs.look_for_stops()
        return conversation_id


async def recall(store: ConversationStore, viewer: Viewer, key: str, made_of: bytes) -> Remembered | None:
    """Raises KeyReused."""
    # A key that cannot be stored never was: the rules of the input refuse it.
    done = await store.recall(viewer.id, key) if storable(key) else None
    if done is not None and done.fingerprint != made_of:
        raise KeyReused(key)
    return done


async def replayed(store: ConversationStore, viewer: Viewer, done: Remembered) -> Created:
    """As it is now. Raises NotFound."""
    conversation_id = ConversationId(done.ids["conversation"])
    found = await store.conversations(viewer.id, [conversation_id])
    if conversation_id not in found:
        raise made_and_deleted()
    return Created(found[conversation_id], replayed=True)


def made_and_deleted() -> NotFound:
    message = "What this key made was deleted since: make a new key to do it again."
    return NotFound("input", "idempotencyKey", message=message)


async def check_new(
    problems: Problems, new: NewConversation, models: Models, checker: JsonChecker, path: Sequence[str]
) -> None:
    check_title(problems, new.title, (*path, "title"))
    check_tags(problems, new.tags, (*path, "tags"))
    await check_settings(problems, new.settings, models, checker, (*path, "settings"))
    check_policy(problems, new.context_policy, (*path, "contextPolicy"))
    check_instruction(problems, new.instruction, (*path, "instruction"))


def opened(owner_id: UserId, new: NewConversation, world: World) -> Conversation:
    now = world.now()
    return Conversation(
        id=ConversationId(world.new_id()),
        owner_id=owner_id,
        title=new.title,
        title_source=TitleSource.USER if new.title else TitleSource.NONE,
        state=ConversationState.ACTIVE,
        version=1,
        created_at=now,
        updated_at=now,
        pinned=new.pinned,
        tags=tuple(dict.fromkeys(new.tags)),
        settings=new.settings,
        context_policy=new.context_policy.applied_to(ContextPolicy()),
    )
