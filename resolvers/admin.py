"""What only admins may look at."""

from dataclasses import dataclass

from domain.user import Viewer
from resolvers.context import Info


@dataclass(frozen=True, slots=True)
class Admin:
    viewer: Viewer


def admin(info: Info) -> Admin | None:
    viewer = info.context.viewer
    return Admin(viewer) if viewer.is_admin else None
