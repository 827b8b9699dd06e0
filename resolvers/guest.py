"""Guests: visitors who start a session of their own."""

import strawberry

from domain.guest import GuestSession
from domain.user import User
from resolvers.context import Info


async def start_guest_session(info: Info) -> GuestSession:
    return await info.context.services.guests.start(info.context.call.address)


def user_of_session(root: strawberry.Parent[GuestSession]) -> User:
    return root.user
