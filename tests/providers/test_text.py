from hypothesis import given
from hypothesis import strategies as st

from domain.text import NUL, has_lone_surrogate
from providers.text import Deltas, fit

ROUGH = st.text(st.sampled_from(["a", "é", "😀", "\0", "\ud83d", "\ude00"]), max_size=8)


def joined(*deltas: str) -> list[str]:
    reader = Deltas()
    return [*(reader.fit(delta) for delta in deltas), reader.rest()]


def test_a_pair_split_over_two_deltas_is_one_character_of_the_second() -> None:
    assert joined("a\ud83d", "\ude00b") == ["a", "😀b", ""]


def test_a_half_that_stays_alone_is_replaced() -> None:
    assert joined("a\ud83d", "b") == ["a", "\ufffdb", ""]
    assert joined("\ude00a") == ["\ufffda", ""]
    assert joined("a\ud83d") == ["a", "\ufffd"]


def test_nul_is_dropped_also_between_two_halves() -> None:
    assert joined("\0", "\ud83d\0", "\0\ude00") == ["", "", "😀", ""]


@given(st.lists(ROUGH))
def test_however_text_is_cut_into_deltas_it_comes_out_the_same_and_fit(parts: list[str]) -> None:
    text = "".join(joined(*parts))
    assert text == fit("".join(parts))
    assert not has_lone_surrogate(text)
    assert NUL not in text
