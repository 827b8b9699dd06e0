"""An order for a run: what is sent to which model, made from what is stored."""

from dataclasses import dataclass, replace
from typing import Protocol

from domain.generation.claiming import claimed
from domain.generation.entity import Generation, Notice
from domain.generation.window import Window, Windows
from domain.instruction import Instructions
from domain.message import Message, MessageStore
from domain.model import Model, ModelRequest, Models
from domain.quota.claim import Claim, candidates
from domain.text import cut
from domain.window.report import ContextReport
from domain.world import ApiKeyId, GenerationId, MessageId, UserId


@dataclass(frozen=True, slots=True)
class Order:
    """All that a run needs. `kept`: what stood in the reply before it. `notices`: what its log has to tell first."""

    generation: Generation
    model: Model
    request: ModelRequest
    kept: str = ""
    notices: tuple[Notice, ...] = ()


class Preparation(Protocol):
    async def order(self, generation: Generation, model: Model | None = None) -> Order | None:
        """For `model`, else the run's own. None: the conversation is gone.

        Raises ContextTooLarge, BeyondLimits (it is more than was reserved, and there is no more to be had), Unavailable.
        """

    async def kept(self, generation: Generation) -> str:
        """What stood in the reply before the run."""


class BeyondLimits(Exception):
    """What the run would take now is more than was reserved for it, and a limit is in the way of more."""


class Reserves(Protocol):
    async def stretch(
        self, generation_id: GenerationId, owner: UserId, key_id: ApiKeyId | None, claim: Claim
    ) -> bool: ...


class Reports(Protocol):
    async def keep(self, generation: Generation, report: ContextReport) -> None:
        """What the run's present attempt is given."""


class StoredPreparation:
    def __init__(
        self,
        messages: MessageStore,
        models: Models,
        instructions: Instructions,
        windows: Windows,
        reports: Reports,
        reserves: Reserves,
    ) -> None:
        self._reserves = reserves
        self._messages, self._models, self._instructions = messages, models, instructions
        self._windows, self._reports = windows, reports

    async def order(self, generation: Generation, model: Model | None = None) -> Order | None:
        model = model or self._models.recorded(generation.model_key)
        reply = await self._message(generation.owner_id, generation.reply_id)
        asked = await self._message(generation.owner_id, reply.parent_id) if reply and reply.parent_id else None
        if reply is None or asked is None:
            return None
        kept, owner = cut(reply.text, generation.text_offset), generation.owner_id
        policy = await self._windows.policy(generation.conversation_id)
        layers = await self._instructions.layers(
            owner, model.key, generation.conversation_id, request=generation.instruction
        )
        window = await self._windows.assemble(
            owner, asked.parent_id, asked.text, model, generation.settings, begun=kept, layers=layers, policy=policy
        )
        await self._require_reserved(generation, model, window)
        report = window.answering(asked.id)
        await self._reports.keep(generation, report)
        told = tuple(notice for notice in window.notices if notice not in generation.notices)
        generation = replace(generation, context=report, estimated_input_tokens=window.estimated_tokens)
        return Order(generation, model, window.request, kept, told)

    async def _require_reserved(self, generation: Generation, model: Model, window: Window) -> None:
        """A context may have grown since the run was accepted, and a fallback's may hold more of it. Raises BeyondLimits."""
        others = candidates(model, self._models) if model.key == generation.model_key else [model]
        models = [generation.priced(each) for each in others]
        claim = claimed(models, window, generation.settings.response_format)
        owner, key_id = generation.owner_id, generation.api_key_id
        if not generation.holds(claim) and not await self._reserves.stretch(generation.id, owner, key_id, claim):
            raise BeyondLimits

    async def kept(self, generation: Generation) -> str:
        reply = await self._message(generation.owner_id, generation.reply_id) if generation.text_offset else None
        return cut(reply.text, generation.text_offset) if reply is not None else ""

    async def _message(self, owner: UserId, message_id: MessageId) -> Message | None:
        return (await self._messages.messages(owner, [message_id])).get(message_id)
