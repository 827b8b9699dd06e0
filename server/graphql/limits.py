"""How much one client may ask of the transport."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    """What one document may hold is counted with its fragments expanded, before it is validated."""

    body_bytes: int = 1024 * 1024
    body_deadline: timedelta = timedelta(seconds=10)

    document_bytes: int = 64 * 1024
    document_tokens: int = 2_000
    operations: int = 20
    root_fields: int = 20
    depth: int = 20
    fields: int = 1_000
    aliases: int = 50
    directives: int = 50
    # Validation compares every pair of fields that stand side by side and have selections of their own.
    siblings: int = 100
    # Fields resolved, were every page full.
    cost: int = 30_000
    kept_documents_bytes: int = 32 * 1024 * 1024

    query_deadline: timedelta = timedelta(seconds=10)
    mutation_deadline: timedelta = timedelta(seconds=30)

    heartbeat: timedelta = timedelta(seconds=15)
    # A revoked credential is noticed within ten seconds. What we are told of one may be two seconds old, and two are left
    # to ask and to close. Before each operation it is asked about as well.
    recheck: timedelta = timedelta(seconds=6)
    # Sockets and event streams together, in this process.
    connections_per_user: int = 50
    # Also of those who have not said who they are; many people may share one.
    connections_per_address: int = 500

    init_timeout: timedelta = timedelta(seconds=5)
    operations_per_socket: int = 100
    messages_per_second: float = 50.0
    message_burst: int = 200
    idle: timedelta = timedelta(minutes=30)
    lifetime: timedelta = timedelta(hours=12)
