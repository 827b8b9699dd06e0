"""One of each refusal."""

from domain import errors
from tests.domain.fakes import a_generation, a_model

EXAMPLES: dict[type[errors.Refusal], errors.Refusal] = {
    type(refusal): refusal
    for refusal in (
        errors.InvalidInput([]),
        errors.NotFound("input", "parent"),
        errors.NotAllowed("No."),
        errors.LimitReached(errors.LimitedResource.API_KEYS, active=50, limit=50),
        errors.ConversationBusy(a_generation()),
        errors.StaleBranch(None),
        errors.KeyReused("key"),
        errors.ContextTooLarge(required_tokens=2, limit_tokens=1),
        errors.ModelUnavailable(a_model(), ()),
        errors.ServerDraining(),
    )
}
