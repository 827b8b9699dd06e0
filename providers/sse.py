"""Server-sent events out of a stream of bytes, however its chunks are cut."""

from collections.abc import Iterator
from typing import NamedTuple

LARGEST_EVENT_BYTES = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class SseEvent(NamedTuple):
    kind: str
    data: str


class EventTooLarge(ValueError):
    pass


class SseParser:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream, without `id` and `retry`.

    What is kept of an unfinished event is bounded: a model server that never ends its line must not fill the memory.
    """

    def __init__(self, largest_event_bytes: int = LARGEST_EVENT_BYTES) -> None:
        self._largest = largest_event_bytes
        self._line = bytearray()
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._kind = b""
        self._at_start = True
        self._after_cr = False

    def events(self, chunk: bytes) -> Iterator[SseEvent]:
        """The events that `chunk` completes; to be read to its end. Raises EventTooLarge after those that came before it."""
        *ends, rest = self._with_lf_only(chunk).split(b"\n")
        for end in ends:
            event = self._take_line(self._whole_line(end))
            if event is not None:
                yield event
        self._require_room(len(self._line) + len(rest))
        self._line += rest

    def _with_lf_only(self, chunk: bytes) -> bytes:
        if not chunk or not (self._after_cr or b"\r" in chunk):
            return chunk
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _whole_line(self, end: bytes) -> bytes:
        self._require_room(len(self._line) + len(end))
        if self._line:
            end = bytes(self._line) + end
            self._line.clear()
        return end

    def _require_room(self, line_bytes: int) -> None:
        if self._data_bytes + line_bytes > self._largest:
            raise EventTooLarge(f"an event of more than {self._largest} bytes")

    def _take_line(self, line: bytes) -> SseEvent | None:
        if self._at_start:
            self._at_start, line = False, line.removeprefix(BYTE_ORDER_MARK)
        if not line:
            return self._end_event()
        self._take_field(line)
        return None

    def _take_field(self, line: bytes) -> None:
        # A comment is a field without a name, so it falls through.
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._data_bytes += len(value) + 1
        elif name == b"event":
            self._kind = value

    def _end_event(self) -> SseEvent | None:
        data, kind = self._data, self._kind
        self._data, self._data_bytes, self._kind = [], 0, b""
        if not data:
            return None
        # Decoded only now that it is whole: a chunk may end in the middle of a character.
        return SseEvent(kind.decode("utf-8", "replace") or "message", b"\n".join(data).decode("utf-8", "replace"))
