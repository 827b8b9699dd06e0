"""`gus serve --workers 2`: real processes on one port, killed and told to end."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from domain.world import RealWorld
from server.listening import MOST_UNSENT_BYTES, bound, joined, reserved
from server.models_file import read_catalogue
from server.node import Worker
from server.settings import CannotStart, Settings
from server.stopping import Stopping
from server.supervisor import supervise
from server.worker import Assignment
from tests.e2e.client import Cut, Event, Sent, played
from tests.e2e.scripted import Scripted, script
from tests.e2e.served import Served, is_gone, placed
from tests.server.conftest import Serve

A_WHILE = script(words=200, delay_ms=25)
SOON = 15


async def test_workers_share_the_port_and_are_one_server(serve: Serve) -> None:
    served = serve(workers="2")
    assert served.output.count("Ready.") == 1
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(socket.create_connection((urlsplit(served.origin).hostname, port_of(served))))
        async with served.client() as client:
            sent = await client.send(script(words=3))
        # On whichever worker: each client has connections of its own.
        texts = [await text_of(served, sent) for _ in range(5)]
        taken = Counter(connections_of(served))
    assert len(set(texts)) == 1
    assert (set(taken), taken.total() >= 40) == ({worker.pid for worker in workers_of(served)}, True)
    assert served.stop() == 0


async def test_a_killed_worker_is_replaced_and_its_runs_are_ended_at_once_while_the_others_go_on(serve: Serve) -> None:
    # Its successor need not wait until the leases have run out.
    served = serve(workers="2", lease_seconds="600")
    before = workers_of(served)
    runs = [await sent_by_a_new_client(served) for _ in range(12)]
    await asyncio.sleep(0.5)
    before[0].kill()
    began = time.monotonic()
    ends = await asyncio.gather(*(followed_to_the_end(served, run) for run in runs))
    statuses = Counter(end.status for end in ends)
    assert time.monotonic() - began < SOON
    assert set(statuses) == {"COMPLETED", "INTERRUPTED"}
    after = workers_of(served)
    assert (len(after), before[1] in after, before[0] in after) == (2, True, False)
    assert served.output.count("(signal 9); starting it again") == 1
    assert (served.stop(), [worker for worker in after if not is_gone(worker)]) == (0, [])


async def test_a_worker_that_is_told_to_end_lets_its_runs_end_and_is_replaced(serve: Serve) -> None:
    served = serve(workers="2")
    before = workers_of(served)
    runs = [await sent_by_a_new_client(served, script(words=40, delay_ms=25)) for _ in range(8)]
    for worker in before:
        worker.terminate()
    ends = await asyncio.gather(*(followed_to_the_end(served, run) for run in runs))
    assert Counter(end.status for end in ends) == {"COMPLETED": 8}
    await until(lambda: len(workers_of(served)) == 2 and not set(before) & set(workers_of(served)))
    assert served.output.count("(code 0); starting it again") == 2


async def test_sigterm_to_the_supervisor_lets_the_runs_of_all_workers_end(serve: Serve) -> None:
    served = serve(workers="2")
    family = served.family()
    runs = [await sent_by_a_new_client(served, script(words=40, delay_ms=25)) for _ in range(8)]
    assert served.stop() == 0
    assert [process for process in family if not is_gone(process)] == []
    served.start_again()
    ends = await asyncio.gather(*(followed_to_the_end(served, run) for run in runs))
    assert Counter(end.status for end in ends) == {"COMPLETED": 8}


def test_of_a_killed_supervisor_nothing_is_left_but_the_database_which_is_found_again() -> None:
    with placed(workers="2") as served:
        served.start()
        family = served.family()
        programs = Counter(process.name().rstrip("0123456789.") for process in family)
        # The supervisor, two workers and one model.
        assert programs["python"] == 4
        ours = [process for process in family if process.name() != "postgres"]
        served.kill()
        assert psutil.wait_procs(ours, timeout=SOON)[1] == []
        served.start_again()
        assert {process.name() for process in family if not is_gone(process)} == {"postgres"}
        assert served.stop() == 0


async def test_a_worker_that_cannot_start_is_no_start(database_url: str, scripted: Scripted, tmp_path: Path) -> None:
    settings = Settings(database_url=f"{database_url}_gone", models=scripted.catalogue, data_dir=tmp_path, port=0)
    assignments = [
        Assignment(
            settings, f"{database_url}_gone", read_catalogue(scripted.catalogue), Worker(RealWorld().new_id(), 0)
        )
    ]
    serving = asyncio.current_task()
    assert serving is not None
    with pytest.raises(CannotStart, match="Worker 0 could not start"):
        await supervise(
            assignments,
            grace=settings.grace,
            stopping=Stopping(serving, say=lambda _: None),
            on_ready=lambda: pytest.fail("it is not ready"),
        )


def test_a_port_is_shared_only_with_those_who_join() -> None:
    with bound("127.0.0.1", 0) as alone, pytest.raises(CannotStart, match="cannot listen"):
        reserved("127.0.0.1", alone.getsockname()[1]).__enter__()
    with reserved("127.0.0.1", 0) as keeper:
        port = keeper.getsockname()[1]
        with joined("127.0.0.1", port), joined("127.0.0.1", port):
            for taking in (bound, reserved):
                with pytest.raises(CannotStart, match="cannot listen"):
                    taking("127.0.0.1", port).__enter__()


def test_for_a_client_that_does_not_read_the_kernel_takes_little_in() -> None:
    with bound("127.0.0.1", 0) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        accepted, _ = listener.accept()
        with accepted:
            accepted.setblocking(False)
            # What is sent beyond fits into nobody's buffer.
            assert accepted.send(b"x" * 10_000_000) < 10 * MOST_UNSENT_BYTES


def port_of(served: Served) -> int:
    port = urlsplit(served.origin).port
    assert port is not None
    return port


def workers_of(served: Served) -> list[psutil.Process]:
    return [process for process in served.family()[1:] if "worker" in process.cmdline()]


def connections_of(served: Served) -> list[int]:
    """The worker of each."""
    return [
        worker.pid
        for worker in workers_of(served)
        for connection in worker.net_connections("tcp")
        if connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == port_of(served)
    ]


async def sent_by_a_new_client(served: Served, question: str = A_WHILE) -> Sent:
    async with served.client() as client:
        return await client.send(question)


async def text_of(served: Served, sent: Sent) -> str:
    async with served.client() as client:
        return played([event async for event in client.follow_ws(sent.generation)])


async def followed_to_the_end(served: Served, sent: Sent) -> Event:
    """Whatever is cut is taken up again; nothing is missing and nothing comes twice."""
    seen = list[Event]()
    while not seen or seen[-1].kind != "GenerationFinished":
        try:
            async with served.client() as client:
                async for event in client.follow_ws(sent.generation, seen[-1].seq if seen else 0):
                    seen.append(event)
        except (Cut, OSError):
            await asyncio.sleep(0.05)
    assert played(seen) == seen[-1].reply_text
    return seen[-1]


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not happened():
            await asyncio.sleep(0.05)
