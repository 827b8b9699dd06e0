"""Guest sessions."""

from datetime import datetime

import strawberry

from domain import guest as domain
from resolvers import guest as resolve
from schema.of import of
from schema.user import User


@of(domain.GuestSession, name="StartGuestSessionSuccess", description="A visitor is a user now, with a guest's limits.")
class StartGuestSessionSuccess:
    user = strawberry.field(resolver=resolve.user_of_session, graphql_type=User, description="The guest.")
    token: str = strawberry.field(
        description="To be sent as `Authorization: Bearer <token>`. Keep it: it is the guest."
    )
    expires_at: datetime = strawberry.field(description="Until when the token is good.")
