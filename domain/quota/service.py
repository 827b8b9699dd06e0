"""Limits as their users see them, and as administrators set them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.errors import InputRule, NotFound
from domain.problems import Problems
from domain.quota.admission import Admission, Templates
from domain.quota.counter import Override, Quota, QuotaId
from domain.quota.limit import PlanLimit, QuotaScope
from domain.user import UserStore, Viewer, require_admin
from domain.world import ApiKeyId, PlanKey, UserId


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a limit is set for, by their scope. None: nothing that can be one was named."""

    scope: QuotaScope
    user: UserId | None = None
    key: ApiKeyId | None = None
    plan: PlanKey | None = None


class OverrideStore(Protocol):
    async def set(self, override: Override, by: UserId) -> None:
        """In place of what was set for the same metric and window before. Every admission from then on reads it."""

    async def has_key(self, key_id: ApiKeyId) -> bool: ...


class Quotas:
    def __init__(self, admission: Admission, overrides: OverrideStore, users: UserStore, templates: Templates) -> None:
        self._admission, self._overrides = admission, overrides
        self._users, self._templates = users, templates

    async def of(self, viewer: Viewer) -> list[Quota]:
        return await self._admission.quotas(self._admission.payer(viewer))

    async def by_id(self, viewer: Viewer) -> dict[QuotaId, Quota]:
        return {quota.id: quota for quota in await self.of(viewer)}

    async def set(self, viewer: Viewer, targets: Sequence[Target], limit: PlanLimit) -> PlanLimit:
        """For the one target. Raises NotAllowed, InvalidInput, NotFound.

        Both bounds None: no such limit, whatever the plan says.
        """
        require_admin(viewer)
        problems = Problems()
        if len(targets) != 1:
            words = "Give exactly one of `user`, `apiKey` and `plan`."
            problems.add(InputRule.CONFLICTING_FIELDS, ("user",), words)
        for field, words in limit.flaws():
            rule = InputRule.CONFLICTING_FIELDS if field == "window" else InputRule.OUT_OF_RANGE
            problems.add(rule, (_NAMES[field],), words)
        problems.refuse()
        [target] = targets
        await self._overrides.set(Override(target.scope, await self._subject(target), limit), viewer.id)
        return limit

    async def _subject(self, target: Target) -> str:
        """Raises NotFound."""
        if target.user is not None and await self._users.user(target.user) is not None:
            return str(target.user)
        if target.key is not None and await self._overrides.has_key(target.key):
            return str(target.key)
        if target.plan is not None and self._templates.find(target.plan) is not None:
            return target.plan
        raise NotFound("input", _FIELDS[target.scope])


_FIELDS = {QuotaScope.USER: "user", QuotaScope.API_KEY: "apiKey", QuotaScope.PLAN: "plan"}
_NAMES = {"window": "window", "soft": "softLimit", "hard": "hardLimit"}
