import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.markers import ZERO_WIDTH_SPACE, break_markers

MARKERS = [
    "<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|begin_of_text|>",
    "<|endoftext|>", "<|user|>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>", "<start_of_turn>",
    "<end_of_turn>", "<｜User｜>", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "[TOOL_CALLS]",
]  # fmt: skip


@pytest.mark.parametrize("marker", MARKERS)
def test_a_marker_is_broken_after_its_first_character(marker: str) -> None:
    assert break_markers(f"a{marker}b") == f"a{marker[0]}{ZERO_WIDTH_SPACE}{marker[1:]}b"


@pytest.mark.parametrize("text", ["a < b | c > d", "f <| g <| h", "[inst]", "<span>", "<|\n|>", "x[0]", "<||>", "|>"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert break_markers(text) == text


def test_a_marker_in_another_is_broken_too() -> None:
    assert break_markers("<|[INST]|>") == f"<{ZERO_WIDTH_SPACE}|[{ZERO_WIDTH_SPACE}INST]|>"


@given(st.lists(st.sampled_from([*MARKERS, "<", "|", ">", "[", "]", "s", "/", "<|", "|>", "x"])).map("".join))
def test_whatever_is_written_no_marker_is_left_and_nothing_else_changed(text: str) -> None:
    broken = break_markers(text)
    assert not any(marker in broken for marker in MARKERS)
    assert broken.replace(ZERO_WIDTH_SPACE, "") == text
    assert break_markers(broken) == broken
