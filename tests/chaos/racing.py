"""Two that want the same moment: a stop and the end, and the same send twenty times."""

import asyncio
import itertools
import json
import random
import time
from uuid import uuid4

from tests.chaos.front_end import Event, Sent
from tests.chaos.ledger import DUPLICATE, ENDS, OTHER, Promise, Violation
from tests.chaos.trial import Trial, any_of, until
from tests.chaos.watching import Habits

AT_ONCE = 15
SENDS = 20
WORDS = 12
DELAY_MS = 10.0


async def stopped(trial: Trial) -> None:
    """A round is one run, stopped at about its end, by one or both processes, with what was seen or without."""
    rounds, trial.rounds = trial.rounds, -(-trial.rounds // AT_ONCE)
    for turn in trial.turns():
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(AT_ONCE, rounds - turn * AT_ONCE)):
                tasks.create_task(_stopped_once(trial, tasks))
        await trial.audit(random.choice(trial.stage.pair))
        trial.close_round()
    trial.rounds = rounds


async def _stopped_once(trial: Trial, tasks: asyncio.TaskGroup) -> None:
    pair = trial.stage.pair
    promise = await trial.send(random.choice(pair), words=WORDS, delay_ms=DELAY_MS)
    watcher = trial.watch(tasks, promise, Habits(choose=any_of(pair), older=0))
    await asyncio.sleep(random.uniform(0, 1.5 * WORDS * DELAY_MS / 1000))
    seen = random.choice([None, len(watcher.seen)])
    stops = [
        trial.front_end.stop(process.origin, promise.key, promise.generation, seen)
        for process in random.sample(pair, random.randint(1, 2))
    ]
    already = await asyncio.gather(*stops)
    trial.counted["stops"] += len(already)
    trial.counted["first to stop"] += already.count(False)
    trial.expect(already.count(False) <= 1, ENDS, "one first stop", f"{already} of {promise.generation}")
    tasks.create_task(_kept_what_was_seen(trial, promise, watcher.seen, seen))


async def _kept_what_was_seen(trial: Trial, promise: Promise, seen: list[Event], seen_seq: int | None) -> None:
    """After a stop by what was seen, exactly that is the reply."""
    await until(lambda: bool(seen) and seen[-1].kind == "GenerationFinished", 10)
    if not seen or seen_seq is None or seen[-1].status != "STOPPED":
        return
    kept, text = "", ""
    for event in seen:
        text = text + event.text if event.kind == "TextDelta" else text
        kept = text if event.seq <= seen_seq else kept
    lengths = [event.length for event in seen if event.kind == "TextTruncated"]
    units = len(kept.encode("utf-16-le")) // 2
    if lengths != ([] if kept == text else [units]):
        found = f"cut to {lengths} of {len(text)}, seen up to seq {seen_seq}"
        trial.violate(Violation(OTHER, f"cut to {units}", found, promise.generation))


async def sent_at_once(trial: Trial) -> None:
    """Twenty sends in parallel with one key, half of them at each process."""
    for turn in trial.turns():
        await trial.stage.forget_requests()
        name, key, idempotency_key = uuid4().hex, trial.key(), str(uuid4())
        question = f"script: {json.dumps({'id': name, 'words': 5})}"
        ways = itertools.islice(itertools.cycle(trial.stage.pair), SENDS)
        sends = [trial.front_end.send(way.origin, key, question, idempotency_key) for way in ways]
        answers = await asyncio.gather(*sends)
        trial.promises.append(Promise(key, idempotency_key, question, 5, answers[0], time.monotonic()))
        _judge(trial, answers)
        await trial.audit(trial.stage.pair[turn % 2])
        asked = len(trial.stage.scripted.requests(name))
        trial.counted["runs of the model"] += asked
        trial.expect(asked == 1, DUPLICATE, "one run of the model", f"{asked} for {answers[0].generation}")
        trial.close_round()


def _judge(trial: Trial, answers: list[Sent]) -> None:
    generations = {answer.generation for answer in answers}
    replays = sum(answer.replayed for answer in answers)
    trial.counted["sends"] += len(answers)
    trial.counted["generations"] += len(generations)
    trial.counted["replays"] += replays
    trial.expect(len(generations) == 1, DUPLICATE, "one generation", f"{generations}")
    trial.expect(replays == SENDS - 1, DUPLICATE, f"{SENDS - 1} replays", f"{replays} of {generations}")
