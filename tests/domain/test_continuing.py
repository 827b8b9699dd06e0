"""Going on with a reply whose conversation is deleted while that is planned."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from domain.access import Access
from domain.conversation.commands import ContinueReply
from domain.conversation.continuing import Continuations
from domain.conversation.once import Once
from domain.errors import NotFound
from domain.generation.entity import Generation, GenerationStatus
from domain.message import Message, MessageRole, MessageStatus, Place
from domain.model import ModelCapability, Models
from domain.plan import Plan, Plans
from domain.user import Role
from domain.world import BranchId, GenerationId, MessageId, PlanKey, UserId
from tests.domain.fakes import NOW, FakeModel, FakeWorld, OneServer, a_generation, a_model, a_viewer

LEFT = replace(a_generation(), status=GenerationStatus.STOPPED, ended_at=NOW)
PLACE = Place(BranchId(UUID(int=4)), MessageId(UUID(int=5)), 1, 2, 1)
REPLY = Message(
    LEFT.reply_id,
    LEFT.conversation_id,
    LEFT.owner_id,
    PLACE,
    MessageRole.ASSISTANT,
    MessageStatus.STOPPED,
    "A tree",
    NOW,
    generation_id=LEFT.id,
)


class Vanishing:
    """What was said, for the first look only."""

    def __init__(self) -> None:
        self._left = {REPLY.id: REPLY}

    async def messages(self, owner: UserId, ids: Sequence[MessageId]) -> dict[MessageId, Message]:
        found, self._left = self._left, {}
        return found


class Left:
    async def generations(self, owner: UserId, ids: Sequence[GenerationId]) -> dict[GenerationId, Generation]:
        return {LEFT.id: LEFT}


class Open:
    def require_open(self) -> None:
        pass


class NeverAsked:
    async def recall(self, owner: UserId, key: str) -> None:
        return None


@pytest.fixture
def continuations() -> Continuations:
    messages: Any = Vanishing()
    generations: Any = Left()
    runs: Any = Open()
    conversations: Any = NeverAsked()
    unneeded: Any = None
    able = a_model(capabilities=frozenset({ModelCapability.STREAMING, ModelCapability.CONTINUE}))
    models = Models([able], OneServer(FakeModel()))
    return Continuations(
        conversations,
        messages,
        generations,
        Once(conversations, messages, generations, runs, unneeded),
        admission=unneeded,
        models=models,
        access=Access(models, Plans([Plan(PlanKey("all"), "All", default_for=frozenset(Role))])),
        instructions=unneeded,
        runs=runs,
        windows=unneeded,
        world=FakeWorld(),
    )


async def test_its_user_is_told_that_it_is_gone(continuations: Continuations) -> None:
    with pytest.raises(NotFound):
        await continuations.go_on(a_viewer(), ContinueReply(REPLY.id, "k"))


async def test_who_takes_it_up_lets_it_be(continuations: Continuations) -> None:
    await continuations.take_up(LEFT)
