"""Who may use which model: the one place that decides it, for sends and for what clients are shown."""

from dataclasses import dataclass
from enum import Enum

from domain.errors import ModelUnavailable, NotAllowed, NotFound
from domain.model import Model, ModelHealth, ModelKey, Models
from domain.plan import Plan, Plans
from domain.user import Role, User, Viewer

MOST_ALTERNATIVES = 10
# What a viewer can become, by signing up or by paying.
ATTAINABLE = (Role.USER, Role.PREMIUM)


class ModelUnavailableReason(Enum):
    ROLE = "ROLE"
    PLAN = "PLAN"
    DOWN = "DOWN"
    RETIRED = "RETIRED"


@dataclass(frozen=True, slots=True)
class Denial:
    """What would be enough, where the viewer can get it."""

    reason: ModelUnavailableReason
    required_role: Role | None = None
    required_plan: Plan | None = None


class Access:
    def __init__(self, models: Models, plans: Plans) -> None:
        self._models, self._plans = models, plans

    def plan(self, viewer: Viewer | None) -> Plan:
        """A visitor's is a guest's."""
        return self._plans.of(viewer.user) if viewer is not None else self._plans.of_role(Role.GUEST)

    def allowed(self, viewer: Viewer | None) -> list[Model]:
        return [model for model in self._models.on_offer() if self.plan(viewer).includes(model.key)]

    def allowed_to(self, user: User) -> list[Model]:
        """As `allowed`, of somebody who does not ask."""
        plan = self._plans.of(user)
        return [model for model in self._models.on_offer() if plan.includes(model.key)]

    def default(self, viewer: Viewer | None) -> Model | None:
        return next(iter(self.allowed(viewer)), None)

    def denial(self, viewer: Viewer | None, model: Model) -> Denial | None:
        """None: a send may ask for it."""
        if model.retired:
            return Denial(ModelUnavailableReason.RETIRED)
        if self.plan(viewer).includes(model.key):
            return None
        role = viewer.user.role if viewer is not None else Role.GUEST
        plan = self._plans.with_model(model.key, role)
        if plan is not None:
            return Denial(ModelUnavailableReason.PLAN, required_plan=plan)
        return self._beyond_the_role(model, role)

    async def shown(self, viewer: Viewer | None, model: Model) -> Denial | None:
        """As `denial`, and whether it would answer now: a send is taken all the same, for its fallbacks and its retries."""
        denied = self.denial(viewer, model)
        if denied is None and await self._models.health(model) is ModelHealth.DOWN:
            return Denial(ModelUnavailableReason.DOWN)
        return denied

    def chosen(self, viewer: Viewer, key: ModelKey | None) -> Model:
        """By its key, else the viewer's default. Raises ModelUnavailable, NotAllowed, NotFound."""
        model = self._models.recorded(key) if key is not None else self.default(viewer)
        if model is None:
            raise NotFound("input", "settings", "model")
        return self.require(viewer, model)

    def require(self, viewer: Viewer, model: Model) -> Model:
        """Raises ModelUnavailable, NotAllowed."""
        denied = self.denial(viewer, model)
        if denied is None:
            return model
        if denied.reason is ModelUnavailableReason.RETIRED:
            raise ModelUnavailable(model, tuple(self.allowed(viewer)[:MOST_ALTERNATIVES]))
        raise NotAllowed(
            f"The model {model.key} is not in your plan: take one whose `availableToViewer` is true.",
            required_role=denied.required_role,
            required_plan=denied.required_plan,
        )

    def _beyond_the_role(self, model: Model, role: Role) -> Denial:
        higher = (
            ATTAINABLE if role is Role.GUEST else ATTAINABLE[ATTAINABLE.index(role) + 1 :] if role in ATTAINABLE else ()
        )
        for better in higher:
            plan = self._plans.with_model(model.key, better)
            if plan is not None:
                return Denial(ModelUnavailableReason.ROLE, better, plan)
        return Denial(ModelUnavailableReason.ROLE)
