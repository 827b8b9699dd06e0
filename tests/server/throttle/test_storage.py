"""Counters of sliding windows, by a clock that the tests turn."""

from collections.abc import Callable

import pytest

from server.throttle.storage import BoundedStorage

MINUTE = 60


class Clock:
    def __init__(self) -> None:
        self.time = 6_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def take(clock: Clock) -> Callable[..., bool]:
    storage = BoundedStorage(clock=clock)
    return lambda amount=1, key="a": storage.acquire_sliding_window_entry(key, 10, MINUTE, amount)


def test_a_limit_is_reached_exactly_and_by_key(take: Callable[..., bool]) -> None:
    assert [take() for _ in range(11)] == [True] * 10 + [False]
    assert take(10, "b")
    assert not take(1, "b")


def test_what_is_refused_takes_nothing(take: Callable[..., bool]) -> None:
    assert [take(7), take(4), take(3), take(1), take(11)] == [True, False, True, False, False]


def test_the_window_before_counts_by_what_is_left_of_it(take: Callable[..., bool], clock: Clock) -> None:
    assert take(10)
    clock.time += MINUTE
    assert not take()
    clock.time += MINUTE / 2
    assert [take(5), take(1)] == [True, False]
    clock.time += 2 * MINUTE
    assert take(10)


@pytest.mark.parametrize("amount", [1, 3, 10])
@pytest.mark.parametrize("used", [(10, 0), (4, 6), (10, 10), (1, 9)])
def test_the_wait_is_just_long_enough(clock: Clock, used: tuple[int, int], amount: int) -> None:
    storage = BoundedStorage(clock=clock)
    for spent in used:
        storage.acquire_sliding_window_entry("a", 20, MINUTE, spent)
        clock.time += MINUTE * 3 / 4
    wait = storage.wait("a", 10, MINUTE, amount)
    clock.time += wait
    assert storage.acquire_sliding_window_entry("a", 10, MINUTE, amount)
    assert wait <= 2 * MINUTE


def test_what_is_used_says_when_it_is_all_there_again(clock: Clock) -> None:
    storage = BoundedStorage(clock=clock)
    assert storage.used("a", MINUTE) == (0, clock.time)
    storage.acquire_sliding_window_entry("a", 10, MINUTE, 4)
    assert storage.used("a", MINUTE) == (4, clock.time + 2 * MINUTE)
    clock.time += MINUTE
    assert storage.used("a", MINUTE) == (4, clock.time + MINUTE)


def test_of_too_many_counters_the_one_used_longest_ago_is_forgotten(clock: Clock) -> None:
    storage = BoundedStorage(clock=clock, most=3)
    for key in ("a", "b", "c", "a", "d"):
        storage.acquire_sliding_window_entry(key, 10, MINUTE)
    assert len(storage) == 3
    assert [storage.used(key, MINUTE)[0] for key in "abcd"] == [2, 0, 1, 1]
