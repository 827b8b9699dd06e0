"""What of the path a window holds, and what a summary has to stand in for."""

from dataclasses import dataclass, replace

from domain.message import MessageRole
from domain.window.cut import kept
from domain.window.past import Past
from domain.window.scale import Scale
from domain.window.summary import ContextSummary, Standing, Uncovered
from domain.window.turns import summary_text

# A summary takes a while to be made: it is asked for before anything falls out.
NEARLY_FULL_PERCENT = 85
LEAST_WON_PERCENT = 15


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


def summarized(path: ReadPath, standing: Standing, scale: Scale, room: int) -> Chosen:
    """All of the path if it fits; else what the summary leaves, if that fits; else as without one, and it is out of date."""
    summary = standing.summary
    if summary and summary_cost(summary, scale) * 2 > room:
        summary = None
    left = room - summary_cost(summary, scale)
    below = path.to_depth - summary.depth - 1 if summary else path.to_depth
    # One that ends further up than was read leaves a gap. What it leaves may begin with a reply: it speaks as a user itself.
    covers = below <= len(path.messages)
    rest = sum(path.costs[:below])
    if path.whole and sum(path.costs) <= room:
        chosen = Chosen(len(path.messages))
    elif summary and covers and rest <= left:
        chosen = Chosen(below, summary)
    else:
        chosen = Chosen(kept(path.messages, path.costs, left, whole=path.whole), summary)
    if covers and rest * 100 <= left * NEARLY_FULL_PERCENT:
        return chosen
    soon = kept(path.messages, path.costs, left * NEARLY_FULL_PERCENT // 100, whole=path.whole)
    won = sum(path.costs[soon:below])
    # As long as the rest fits, one that wins little is not worth a model's time at each send.
    if won == 0 or (rest <= left and won * 100 < left * LEAST_WON_PERCENT):
        return chosen
    newest = path.messages[soon]
    return replace(chosen, uncovered=Uncovered(newest.id, newest.depth)) if standing.wants(newest.depth) else chosen


def summary_cost(summary: ContextSummary | None, scale: Scale) -> int:
    return scale.turn(MessageRole.USER, summary_text(summary)) if summary else 0
