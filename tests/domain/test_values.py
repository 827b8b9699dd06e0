"""Pages, text, ids, prices: the small values everything else is made of."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.conversation.commands import CreateConversation, NewConversation, SendMessage, fingerprint
from domain.errors import BadPage
from domain.generation.entity import GenerationSettings
from domain.model import ModelKey, Usage, UsageSource
from domain.page import PageArgs, cursor_of, open_cursor, page_args, page_of
from domain.text import cut, excerpt, is_blank, units
from domain.world import RealWorld, uuid7
from tests.domain.fakes import NOW, a_model

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_units_are_what_javascript_counts(text: str) -> None:
    assert units(text) == len(text.encode("utf-16-le")) // 2


@given(TEXTS, st.integers(0, 30))
def test_a_cut_is_the_longest_beginning_that_splits_no_pair(text: str, limit: int) -> None:
    kept = cut(text, limit)
    assert text.startswith(kept)
    assert units(kept) <= limit
    assert kept == text or units(text[: len(kept) + 1]) > limit


@pytest.mark.parametrize(
    "text", ["", " \t\n", "\u00a0\u2028\u2029\u3000", "\u200b\ufeff", "\x07", "\u115f\u1160", "\u2800", "\u3164\uffa0"]
)
def test_what_nobody_can_see_is_blank_and_a_dot_in_it_is_not(text: str) -> None:
    assert is_blank(text)
    assert not is_blank(f"{text}.{text}")


def test_an_excerpt_is_one_line() -> None:
    assert excerpt("a\n\n b\tc", 10) == "a b c"
    assert excerpt("\n" * 41 + "a", 10) == "a"
    assert excerpt("🌳🌳", 3) == "🌳"


@pytest.mark.parametrize(
    ("given_args", "expected"),
    [
        ({}, PageArgs(20)),
        ({"first": 3}, PageArgs(3)),
        ({"last": 3}, PageArgs(3, backward=True)),
        ({"before": cursor_of("k")}, PageArgs(20, backward=True, before="k")),
        ({"last_by_default": True}, PageArgs(20, backward=True)),
        ({"last_by_default": True, "after": cursor_of("k")}, PageArgs(20, after="k")),
    ],
)
def test_page_arguments_say_which_end_is_kept(given_args: dict[str, object], expected: PageArgs) -> None:
    assert page_args(**given_args) == expected  # type: ignore[arg-type]  # any of its arguments


@pytest.mark.parametrize(
    "bad", [{"first": 0}, {"first": 101}, {"last": -1}, {"first": 1, "last": 1}, {"after": "%"}, {"after": "/w"}]
)
def test_page_arguments_that_mean_nothing_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(BadPage):
        page_args(**bad)  # type: ignore[arg-type]  # any of its arguments


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cursor_opens_to_its_key(key: str) -> None:
    assert open_cursor(cursor_of(key)) == key


def test_the_surplus_row_only_says_that_more_exist() -> None:
    forward = page_of([1, 2, 3], PageArgs(2), str)
    backward = page_of([1, 2, 3], PageArgs(2, backward=True), str)
    assert (forward.nodes, forward.has_next_page, forward.has_previous_page) == ([1, 2], True, False)
    assert (backward.nodes, backward.has_next_page, backward.has_previous_page) == ([2, 3], False, True)


def test_ids_are_uuid_v7_and_sort_by_time() -> None:
    made = [uuid7(ms, 2**80 - 1) for ms in (1, 2, 3)]
    assert made == sorted(made)
    assert {(each.version, each.variant) for each in made} == {(7, "specified in RFC 4122")}
    assert isinstance(RealWorld().new_id(), UUID)


def test_a_cost_is_exact_to_the_nano_dollar() -> None:
    usage = Usage(1, 1, UsageSource.PROVIDER)
    assert a_model().cost(usage) == Decimal("0.000002000")


def test_settings_go_over_weaker_ones_field_by_field() -> None:
    mine, weaker = (
        GenerationSettings(temperature=0.0),
        GenerationSettings(model=ModelKey("m"), temperature=1.0, stop=("x",)),
    )
    assert mine.over(weaker) == GenerationSettings(model=ModelKey("m"), temperature=0.0, stop=("x",))


def test_a_fingerprint_compares_what_was_said_and_not_when() -> None:
    first = SendMessage(text="a", idempotency_key="k1")
    same = SendMessage(text="a", idempotency_key="k2", sent_at=datetime(2020, 1, 1, tzinfo=NOW.tzinfo))
    others: list[SendMessage | CreateConversation] = [
        SendMessage(text="b", idempotency_key="k1"),
        SendMessage(text="a", idempotency_key="k1", settings=GenerationSettings(temperature=0.0)),
        SendMessage(text="a", idempotency_key="k1", new_conversation=NewConversation(pinned=True)),
        CreateConversation("k1", NewConversation(title="a")),
    ]
    assert fingerprint(first) == fingerprint(same)
    assert len({fingerprint(command) for command in [first, *others]}) == 5
