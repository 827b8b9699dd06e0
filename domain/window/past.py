"""The path above a new message as the window reads it: newest first, no further up than it needs."""

from dataclasses import dataclass
from typing import Protocol

from domain.message import MessageRole
from domain.window.policy import ContextPolicy
from domain.world import ConversationId, MessageId, UserId


@dataclass(frozen=True, slots=True)
class Past:
    """One message of the path. `tokens`: as stored for the tokenizer asked for. `unfinished`: its text may still grow.

    `begun_at`: of a reply, the depth at which the context of its run began.
    """

    id: MessageId
    depth: int
    role: MessageRole
    text: str
    tokens: int | None = None
    begun_at: int | None = None
    unfinished: bool = False


class PastStore(Protocol):
    async def policy(self, conversation_id: ConversationId) -> ContextPolicy: ...

    async def past(self, owner: UserId, newest: MessageId, tokenizer: str, *, skip: int, limit: int) -> list[Past]:
        """`newest` and what stands above it, deepest first, after the first `skip`; one statement."""
