"""What was promised to whom: every acknowledged send, and every event that was shown to anybody."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.chaos.front_end import Event, Sent
from tests.e2e.client import units

# In the order of the table; each is a count that must be 0.
LOST = "acknowledged lost"
UNSTORED = "shown but not stored"
GAP = "gaps"
DUPLICATE = "duplicates"
OFFSET = "wrong offsets"
ENDS = "not one end"
STUCK = "stuck"
WORDS = "wrong words"
UNTYPED = "untyped answers"
SLOW = "slow answers"
COMPLAINED = "errors logged"
BILLS = "wrong bills"
OTHER = "other"
ALWAYS_COUNTED = (LOST, UNSTORED, GAP, DUPLICATE, OFFSET, ENDS, STUCK, WORDS)


@dataclass(frozen=True, slots=True)
class Violation:
    what: str
    expected: str
    found: str
    generation: str = ""

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}; found {self.found}" + (
            f" (generation {self.generation})" if self.generation else ""
        )


@dataclass(slots=True)
class Promise:
    """A send that was acknowledged. `shown`: by seq, to whichever client; the first one shown is what all must be like.

    `kept`: what its reply began with. `goes_on`: another run has been told to write on where this one left off.
    """

    key: str
    idempotency_key: str
    question: str
    words: int
    sent: Sent
    acknowledged_at: float
    kept: str = ""
    goes_on: bool = False
    shown: dict[int, Event] = field(default_factory=dict)

    @property
    def generation(self) -> str:
        return self.sent.generation

    def show(self, event: Event) -> Violation | None:
        before = self.shown.setdefault(event.seq, event)
        if before == event:
            return None
        return Violation(UNSTORED, f"seq {event.seq} to stay {before}", f"{event}", self.generation)


def text_of(events: Sequence[Event], kept: str = "") -> str:
    text = kept
    for event in events:
        text = text_after(text, event)
    return text


def text_after(text: str, event: Event) -> str:
    if event.kind == "TextDelta":
        return text + event.text
    if event.kind == "TextTruncated" and event.length is not None:
        return text.encode("utf-16-le")[: 2 * event.length].decode("utf-16-le")
    return text


def log_violations(events: Sequence[Event], generation: str, kept: str = "") -> list[Violation]:
    """A whole log, from seq 1 to its end, by the promises; `kept`: what its reply began with."""
    found = list[Violation]()
    seqs = [event.seq for event in events]
    if seqs != list(range(1, len(seqs) + 1)):
        jumps = [pair for pair in pairwise([0, *seqs]) if pair[1] != pair[0] + 1]
        what = DUPLICATE if any(later <= earlier for earlier, later in jumps) else GAP
        found.append(Violation(what, f"seq 1 to {len(seqs)}", f"jumps {jumps[:5]}", generation))
    found += _offset_violations(events, generation, kept)
    ends = [event.seq for event in events if event.kind == "GenerationFinished"]
    if len(ends) != 1 or ends[0] != seqs[-1]:
        found.append(Violation(ENDS, f"one end, at {seqs[-1:]}", f"ends at {ends}", generation))
    return found + _attempt_violations(events, generation)


def _offset_violations(events: Sequence[Event], generation: str, kept: str) -> list[Violation]:
    text, found = kept, list[Violation]()
    for event in events:
        if event.kind == "TextDelta" and event.offset != units(text):
            found.append(
                Violation(OFFSET, f"offset {units(text)} at seq {event.seq}", f"offset {event.offset}", generation)
            )
        text = text_after(text, event)
    return found[:1]


def _attempt_violations(events: Sequence[Event], generation: str) -> list[Violation]:
    """A run starts over only when it has said nothing; what was started later has the later attempt."""
    started = [event for event in events if event.kind == "GenerationStarted"]
    said = next((event.seq for event in events if event.kind == "TextDelta"), None)
    attempts = [event.attempt or 0 for event in started]
    if attempts == sorted(set(attempts)) and (said is None or all(event.seq < said for event in started)):
        return []
    at = [(event.seq, event.attempt) for event in started]
    return [Violation(OTHER, "every start before the first word", f"starts {at}, first word at {said}", generation)]


def words_violation(promise: Promise, text: str, status: str) -> Violation | None:
    """The model's words are numbered and carry the name of their answer: one answer, from its first word, none twice."""
    words = text.split()
    names = {word.partition("-")[2] for word in words[:-1]}
    numbers = [word.partition("-")[0] for word in words]
    # The last one may have been cut in two by a stop.
    in_order = all(number == f"w{place}" for place, number in enumerate(numbers[:-1], 1))
    whole = len(words) == promise.words or status != "COMPLETED"
    if len(names) <= 1 and in_order and whole:
        return None
    wrong = next((word for place, word in enumerate(words, 1) if not word.startswith(f"w{place}-")), None)
    return Violation(
        WORDS,
        f"w1 to w{promise.words} of one answer",
        f"{len(words)} words, {status}, of {sorted(names)[:4]}, first out of order {wrong}",
        promise.generation,
    )
