"""Every fault by its name, and how often it is tried: in full, and quickly."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos import continuing, crowds, database, disconnects, fallbacks, line, processes, racing, wakes, workers
from tests.chaos.trial import Trial


@dataclass(frozen=True, slots=True)
class Fault:
    """`title` is the first cell of its row in RELIABILITY.md."""

    name: str
    title: str
    rounds: int
    quick: int
    play: Callable[[Trial], Awaitable[None]]


FAULTS = (
    Fault("kill", "kill -9 of a process with 10 live streams, clients go to another", 20, 1, processes.killed),
    Fault("worker", "kill -9 of one of the two workers of one `gus serve`", 10, 1, workers.killed),
    Fault("line", "kill -9 of who holds a scarce model's slot while others wait in line", 10, 2, line.holder_killed),
    Fault("fallback", "a fallback's server dies while it is asked", 10, 1, fallbacks.died),
    Fault("continue", "kill -9 while a reply goes on, after kill -9 while it was begun", 10, 1, continuing.killed),
    Fault("freeze", "SIGSTOP past the lease, then SIGCONT", 10, 1, processes.frozen),
    Fault("term", "SIGTERM under load", 10, 1, processes.told_to_end),
    Fault("restart", "PostgreSQL away for 3 s, every other time by a crash", 10, 1, database.restarted),
    Fault("terminate", "every PostgreSQL backend terminated, three times in a second", 10, 1, database.terminated),
    Fault(
        "leave", "a stop at the other process, of a model that is silent and of one that talks", 20, 2, wakes.stopped
    ),
    Fault("notify", "every NOTIFY dropped", 5, 1, wakes.dropped),
    Fault(
        "disconnect",
        "random disconnects, back at a random process by the last or an older seq",
        1000,
        30,
        disconnects.disconnected,
    ),
    Fault("stop", "a stop races with the end", 1000, 30, racing.stopped),
    Fault("once", "20 sends at once by one idempotency key over two processes", 100, 2, racing.sent_at_once),
    Fault("sockets", "sockets cut hard", 1000, 200, crowds.cut_hard),
    Fault("storm", "reconnects in one instant", 240, 60, crowds.storm),
    Fault("silent", "sockets that do not read", 100, 20, crowds.not_reading),
    Fault("starve", "sockets with 20 subscriptions each that do not read, beside live runs", 100, 20, crowds.starving),
)
