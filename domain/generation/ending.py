"""The end of a run, whoever commits it: as it came about, or as a stop that was recorded before wants it."""

import asyncio
from dataclasses import replace

from domain.errors import Unavailable
from domain.generation.entity import Ending, Generation, GenerationStatus
from domain.generation.log import Ended, StopRequest, TokenLog, read_all, seen_units, text_of
from domain.generation.wakes import Wakes
from domain.job import JOBS
from domain.model import Model
from domain.text import cut, units


async def end_patiently(
    log: TokenLog,
    generation: Generation,
    model: Model,
    ending: Ending,
    *,
    previous: int,
    kept: str,
    stop: StopRequest | None = None,
) -> Ended:
    """Through an outage of the database. Of two calls, by whatever process, one takes effect.

    `kept`: what stood in the reply before the run. `stop`: the one that ended it, where it is known.
    """
    while True:
        try:
            end, cut_to = (ending, None) if stop is None else await _stopped(log, generation, ending, stop, kept)
            ended = await log.finish(
                generation, end, end.cost(generation.priced(model)), previous=previous, cut_to=cut_to
            )
        except Unavailable as outage:
            await asyncio.sleep(outage.retry_after)
            continue
        if ended.stop is None:
            return ended
        stop = ended.stop


def tell_of_end(wakes: Wakes, generation: Generation, ended: Ended) -> None:
    wakes.wake([generation.id, generation.conversation_id, generation.owner_id])
    if ended.left_job:
        # Here only: one process is enough to do it, and the others look now and then.
        wakes.hear([JOBS])


async def text_now(log: TokenLog, generation: Generation, kept: str) -> str:
    return text_of(await read_all(log, generation.id), kept)


async def _stopped(
    log: TokenLog, generation: Generation, ending: Ending, stop: StopRequest, kept: str
) -> tuple[Ending, int | None]:
    """With the length to which the text is cut; all that was produced is counted nevertheless."""
    text = ending.text
    if stop.seen_seq is not None:
        text = cut(text, seen_units(await read_all(log, generation.id), stop.seen_seq, kept))
    stopped = replace(ending, status=GenerationStatus.STOPPED, finish_reason=stop.reason, text=text, error=None)
    end = replace(stopped, handed_over=False, tokens=None)
    return end, units(text) if len(text) < len(ending.text) else None
