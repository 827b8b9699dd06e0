"""One of each refusal."""

from decimal import Decimal
from uuid import UUID

from domain import errors
from domain.conversation.entity import Conversation, ConversationState, TitleSource
from domain.message import Message, MessageRole, MessageStatus, Place
from domain.quota.counter import Quota
from domain.quota.limit import QuotaMetric, QuotaScope, QuotaWindow
from domain.world import BranchId, ConversationId, MessageId, UserId
from tests.domain.fakes import NOW, a_generation, a_model

REPLY = Message(
    MessageId(UUID(int=1)),
    ConversationId(UUID(int=2)),
    UserId(UUID(int=3)),
    Place(BranchId(UUID(int=4)), None, depth=0, number=1, sibling_index=1),
    MessageRole.ASSISTANT,
    MessageStatus.COMPLETE,
    "Wood.",
    NOW,
)

CONVERSATION = Conversation(
    ConversationId(UUID(int=2)), UserId(UUID(int=3)), None, TitleSource.NONE, ConversationState.ACTIVE, 1, NOW, NOW
)

QUOTA = Quota(
    QuotaScope.USER,
    UUID(int=3),
    QuotaMetric.MESSAGES,
    QuotaWindow.DAY,
    soft_limit=None,
    hard_limit=Decimal(1),
    used=Decimal(1),
    reserved=Decimal(0),
    resets_at=NOW,
)

EXAMPLES: dict[type[errors.Refusal], errors.Refusal] = {
    type(refusal): refusal
    for refusal in (
        errors.InvalidInput([]),
        errors.NotFound("input", "parent"),
        errors.NotAllowed("No."),
        errors.QuotaExceeded(QUOTA, 1.0, fits_ever=True),
        errors.TooManyGenerations([a_generation()], active=1, limit=1),
        errors.LimitReached(errors.LimitedResource.API_KEYS, active=50, limit=50),
        errors.ConversationBusy(a_generation()),
        errors.ConversationClosed(ConversationState.PAUSED),
        errors.IllegalTransition(ConversationState.ARCHIVED, ConversationState.PAUSED),
        errors.StaleBranch(None),
        errors.StaleVersion(CONVERSATION),
        errors.NotContinuable(REPLY, "It ended whole."),
        errors.KeyReused("key"),
        errors.ContextTooLarge(required_tokens=2, limit_tokens=1),
        errors.ModelUnavailable(a_model(), ()),
        errors.ServerDraining(),
        errors.Banned(None),
    )
}
