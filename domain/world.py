"""What the domain takes from the outside world: identities, the clock and chance."""

import os
import time
from datetime import UTC, datetime
from typing import NewType, Protocol
from uuid import UUID

UserId = NewType("UserId", UUID)
ApiKeyId = NewType("ApiKeyId", UUID)
ConversationId = NewType("ConversationId", UUID)
BranchId = NewType("BranchId", UUID)
MessageId = NewType("MessageId", UUID)
GenerationId = NewType("GenerationId", UUID)
NodeId = NewType("NodeId", UUID)
InstructionId = NewType("InstructionId", UUID)
CallId = NewType("CallId", UUID)
PlanKey = NewType("PlanKey", str)
SummaryId = NewType("SummaryId", UUID)


class World(Protocol):
    def now(self) -> datetime:
        """Aware, UTC."""

    def new_id(self) -> UUID:
        """A uuid v7: ids made later sort later, up to the clock's skew."""


class RealWorld:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def new_id(self) -> UUID:
        return uuid7(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10), "big"))


def uuid7(unix_ms: int, chance: int) -> UUID:
    """RFC 9562, section 5.7; of `chance` the low 74 bits are used."""
    chance &= (1 << 74) - 1
    high, low = chance >> 62, chance & ((1 << 62) - 1)
    return UUID(int=unix_ms << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)
