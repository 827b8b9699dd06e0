"""What PostgreSQL and its driver can say no with, in the domain's words and none of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from tortoise.exceptions import DBConnectionError, OperationalError

from domain.errors import Unavailable, Unstorable

_GONE = (
    OSError,
    TimeoutError,
    DBConnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InternalClientError,  # what a connection cut between two statements may say
)

# "connection is closed", "pool is closing", "connection has been released": the driver has one class for these and for misuse.
_OF_A_LOST_CONNECTION = ("clos", "released")


@contextmanager
def errors_of_the_domain() -> Iterator[None]:
    try:
        yield
    except _GONE as error:
        raise Unavailable("The database does not answer now: try again.") from error
    except asyncpg.InterfaceError as error:
        if not any(word in str(error) for word in _OF_A_LOST_CONNECTION):
            raise  # a bug of ours
        raise Unavailable("The database does not answer now: try again.") from error
    except (asyncpg.DataError, OperationalError) as error:
        if isinstance(error, OperationalError) and not isinstance(error.__cause__, asyncpg.DataError):
            raise
        # The driver's words hold the value.
        raise Unstorable("A value does not fit its column.") from None
