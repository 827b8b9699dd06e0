"""What of the path a window holds, and what a summary has to stand in for."""

from dataclasses import dataclass

from domain.message import MessageRole
from domain.window.cut import kept, whole_turns
from domain.window.past import Past
from domain.window.scale import Scale
from domain.window.summary import ContextSummary, Uncovered
from domain.window.turns import summary_text

# A summary takes a while to be made: it is asked for before anything falls out.
NEARLY_FULL_PERCENT = 85


@dataclass(frozen=True, slots=True)
class ReadPath:
    """What was read of it, newest first: all that fits, or to the root (`whole`). `costs`: the tokens of each."""

    messages: tuple[Past, ...] = ()
    costs: tuple[int, ...] = ()
    whole: bool = True

    @property
    def to_depth(self) -> int:
        """Where the new message will stand."""
        return self.messages[0].depth + 1 if self.messages else 0


@dataclass(frozen=True, slots=True)
class Chosen:
    """So many of the newest messages, below what a summary stands in for."""

    count: int
    summary: ContextSummary | None = None
    uncovered: Uncovered | None = None


def is_nearly_full(path: ReadPath, room: int) -> bool:
    return not path.whole or sum(path.costs) * 100 > room * NEARLY_FULL_PERCENT


def slid(path: ReadPath, room: int) -> Chosen:
    return Chosen(kept(path.messages, path.costs, room, whole=path.whole))


def summarized(path: ReadPath, summary: ContextSummary | None, scale: Scale, room: int) -> Chosen:
    """All of the path if it fits; else what the summary leaves, if that fits; else as without one, and it is out of date."""
    soon = kept(path.messages, path.costs, room * NEARLY_FULL_PERCENT // 100, whole=path.whole)
    if path.whole and sum(path.costs) <= room:
        return Chosen(len(path.messages), uncovered=_uncovered(path, soon, summary))
    if summary and summary_cost(summary, scale) * 2 > room:
        summary = None
    room -= summary_cost(summary, scale)
    below = path.to_depth - summary.depth - 1 if summary else 0
    rest = whole_turns(path.messages, min(below, len(path.messages)))
    if summary and rest == below and sum(path.costs[:rest]) <= room:
        return Chosen(rest, summary, _uncovered(path, soon, summary))
    count = kept(path.messages, path.costs, room, whole=path.whole)
    return Chosen(count, summary, _uncovered(path, count, summary))


def _uncovered(path: ReadPath, count: int, summary: ContextSummary | None) -> Uncovered | None:
    """What is above the newest `count`, unless the summary covers it."""
    if count >= len(path.messages):
        return None
    newest = path.messages[count]
    return Uncovered(newest.id, newest.depth) if summary is None or summary.depth < newest.depth else None


def summary_cost(summary: ContextSummary | None, scale: Scale) -> int:
    return scale.turn(MessageRole.USER, summary_text(summary)) if summary else 0
