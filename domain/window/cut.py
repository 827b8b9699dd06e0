"""Where a window begins when the path does not fit: at whole turns, and for many turns at the same place.

A model server keeps what it worked out for a prompt and uses it for the next one as far as both begin alike, so a window
that slides by a turn with each turn makes it read everything again each time. The rule, a function of what is stored alone:
a window begins where that of the reply before did, as long as this fits and holds no less than a fresh one would; else it
is made fresh, of the newest whole turns that fill at most KEPT_PERCENT of the room (or all of it, if the newest takes more).
"""

from collections.abc import Sequence

from domain.message import MessageRole
from domain.window.past import Past

KEPT_PERCENT = 70


def kept(newest_first: Sequence[Past], costs: Sequence[int], room: int, *, whole: bool) -> int:
    """How many of the messages stay; a window begins with a user's message.

    `costs`: the tokens of each. `whole`: the last one of them is the root; else together they fill more than the room.
    """
    fitting = _fitting(costs, room)
    if whole and fitting == len(newest_first):
        return fitting
    fresh = whole_turns(newest_first, _fitting(costs, room * KEPT_PERCENT // 100)) or whole_turns(newest_first, fitting)
    as_before = _begun_as_before(newest_first)
    return as_before if fresh < as_before <= fitting else fresh


def whole_turns(newest_first: Sequence[Past], count: int) -> int:
    """Without the reply at the cut whose question fell out."""
    while count and newest_first[count - 1].role is not MessageRole.USER:
        count -= 1
    return count


def _fitting(costs: Sequence[int], room: int) -> int:
    for count, cost in enumerate(costs):
        room -= cost
        if room < 0:
            return count
    return len(costs)


def _begun_as_before(newest_first: Sequence[Past]) -> int:
    """How far back the reply before saw; 0 when none of these tells, or it saw further than these reach."""
    begun_at = next((past.begun_at for past in newest_first if past.begun_at is not None), None)
    if begun_at is None or newest_first[-1].depth > begun_at:
        return 0
    return whole_turns(newest_first, newest_first[0].depth - begun_at + 1)
