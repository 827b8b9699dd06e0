from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.thinking import Split, Thinking

PARTS = st.sampled_from(
    ["<think>", "</think>", "<", "</", "<thi", "nk>", "think", ">", " ", "\n", "a", "b < c", "<thinking", "😀", "</th"]
)


def split(*deltas: str, begins: bool = True) -> tuple[str, str]:
    thinking = Thinking(begins=begins)
    splits = [*(thinking.split(delta) for delta in deltas), thinking.rest()]
    return "".join(part.thought for part in splits), "".join(part.said for part in splits)


@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        ("<think>hm</think>yes", "hm", "yes"),
        (" \n<think>\nhm \n</think>\n\n yes \n", "hm \n", "yes \n"),
        ("<think>hm", "hm", ""),
        ("<think>hm</thin", "hm</thin", ""),
        ("<think>a < b </thing></think>yes", "a < b </thing>", "yes"),
        ("<think>a <think> b</think>yes</think>", "a <think> b", "yes</think>"),
        ("<think>\n\n</think>\n\nyes", "", "yes"),
        ("<think></think>yes", "", "yes"),
        ("yes <think>hm</think>", "", "yes <think>hm</think>"),
        ("hm</think>yes", "", "hm</think>yes"),
        ("<thinking>hm</thinking>", "", "<thinking>hm</thinking>"),
        (" \n yes", "", " \n yes"),
        (" <thi", "", " <thi"),
        ("", "", ""),
    ],
)
def test_a_block_that_begins_the_answer_is_thought(text: str, thought: str, said: str) -> None:
    assert split(text) == (thought, said)


def test_what_cannot_become_a_tag_is_told_at_once() -> None:
    thinking = Thinking()
    assert [thinking.split(delta) for delta in ("<thi", "s", " <think>")] == [
        Split(),
        Split(said="<this"),
        Split(said=" <think>"),
    ]
    thinking = Thinking()
    assert [thinking.split(delta) for delta in ("<think>a ", "< b <", "/", "c")] == [
        Split(thought="a "),
        Split(thought="< b "),
        Split(),
        Split(thought="</c"),
    ]


def test_the_rest_of_an_answer_thinks_no_more() -> None:
    assert split(" <think>", "hm</think>", begins=False) == ("", " <think>hm</think>")


@given(st.lists(PARTS).map("".join), st.lists(st.integers(0, 60)))
def test_however_the_deltas_are_cut_the_split_is_the_same(text: str, cuts: list[int]) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    assert split(*(text[start:end] for start, end in pairwise(places))) == split(text)


@given(st.lists(PARTS).map("".join))
def test_nothing_is_lost_but_a_block_that_begins_the_answer_and_white_space(text: str) -> None:
    thought, said = split(text)
    if text.lstrip().startswith("<think>"):
        inner, _, rest = text.lstrip().removeprefix("<think>").partition("</think>")
        assert (thought, said) == (inner.lstrip(), rest.lstrip())
    else:
        assert (thought, said) == ("", text)
