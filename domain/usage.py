"""What models were asked besides replies, and what that took."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Protocol

from domain.generation.log import Line
from domain.model import ModelKey, Usage
from domain.world import CallId, ConversationId, UserId


class UsagePurpose(Enum):
    REPLY = "REPLY"
    TITLE = "TITLE"
    SUMMARY = "SUMMARY"


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of a model, for its owner's sake; replies are metered by their runs."""

    id: CallId
    owner_id: UserId
    conversation_id: ConversationId
    purpose: UsagePurpose
    model_key: ModelKey


class CallLog(Protocol):
    async def begin(self, call: ModelCall, line: Line | None) -> bool:
        """Before the model is asked. False, and nothing is stored: the line has no slot that no run needs."""

    async def end(self, call: ModelCall, usage: Usage | None, cost: Decimal | None) -> None:
        """`usage` None: nobody answered."""

    async def is_crowded(self, line: Line) -> bool:
        """Its runs, those that wait included, and the calls under way are more than its server takes at once."""
