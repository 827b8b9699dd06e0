"""What is left at the edge."""

from domain.errors import Unavailable
from domain.throttle import RateLimit
from resolvers.context import Info


def rate_limit(info: Info) -> RateLimit:
    if info.context.call.rate_limit is None:
        raise Unavailable("This server counts nothing at its edge.")
    return info.context.call.rate_limit
