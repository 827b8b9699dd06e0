from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.sse import EventTooLarge, SseEvent, SseParser

LINES = st.sampled_from(
    ["data: one", "data:two", "data", 'data: {"a": "é😀"}', ": comment", "event: error", "id: 7", "", "", "data:  x"]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def parsed(*chunks: bytes) -> list[SseEvent]:
    parser = SseParser()
    return [event for chunk in chunks for event in parser.events(chunk)]


def data(*chunks: bytes) -> list[str]:
    return [event.data for event in parsed(*chunks)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_ends_a_line(end: str) -> None:
    assert data(f"data: a{end}{end}data: b{end}{end}: end".encode()) == ["a", "b"]


def test_a_carriage_return_and_its_line_feed_in_two_chunks_are_one_line_end() -> None:
    assert data(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == ["a\nb"]


def test_lines_of_one_event_are_joined() -> None:
    assert data(b"data: a\ndata:\ndata:  b\n\n") == ["a\n\n b"]


def test_comments_and_unknown_fields_are_no_events() -> None:
    assert data(b": alive\n\nid: 1\nretry: 5\n\n:\n\ndata: a\n\n") == ["a"]


def test_an_event_has_the_kind_it_names_and_the_next_does_not() -> None:
    assert parsed(b"event: error\ndata: a\n\ndata: b\n\n") == [SseEvent("error", "a"), SseEvent("message", "b")]


def test_a_character_may_be_split_over_chunks() -> None:
    encoded = "data: 😀\n\n".encode()
    assert data(*[encoded[i : i + 1] for i in range(len(encoded))]) == ["😀"]


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    assert data(b"data: a\xffb\n\n") == ["a\ufffdb"]


def test_a_byte_order_mark_is_skipped_at_the_start_only() -> None:
    assert data(b"\xef\xbb", b"\xbfdata: \xef\xbb\xbfa\n\n") == ["\ufeffa"]


def test_an_event_without_its_empty_line_is_not_told() -> None:
    assert data(b"data: a\n\ndata: b\n") == ["a"]


def test_a_line_that_never_ends_is_refused_after_the_events_before_it() -> None:
    events = SseParser(largest_event_bytes=100).events(b"data: a\n\ndata: " + b"x" * 100)
    assert next(events) == SseEvent("message", "a")
    with pytest.raises(EventTooLarge):
        next(events)


def test_a_line_that_grows_with_every_chunk_is_refused_at_the_limit() -> None:
    parser = SseParser(largest_event_bytes=100)
    assert [list(parser.events(b"0123456789")) for _ in range(10)] == [[]] * 10
    with pytest.raises(EventTooLarge):
        list(parser.events(b"x"))


def test_many_lines_of_one_event_count_together() -> None:
    parser = SseParser(largest_event_bytes=100)
    with pytest.raises(EventTooLarge):
        list(parser.events(b"data: 0123456789\n" * 11))


def test_an_event_of_exactly_the_limit_is_told() -> None:
    assert len(list(SseParser(largest_event_bytes=100).events(b"data: " + b"x" * 94 + b"\n\n"))) == 1


@given(st.lists(st.tuples(LINES, ENDS)), st.lists(st.integers(0, 200)))
def test_however_the_chunks_are_cut_the_events_are_the_same(lines: list[tuple[str, bytes]], cuts: list[int]) -> None:
    stream = b"".join(line.encode() + end for line, end in lines)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    chunks = [stream[start:end] for start, end in pairwise(places)]
    assert parsed(*chunks) == parsed(stream)
