import asyncio
from dataclasses import replace

from domain.errors import GenerationErrorCode, ModelFailure
from domain.generation.circuit import FAILURES_TO_OPEN, Circuits
from domain.generation.entity import AttemptOutcome, GenerationStatus, NoticeCode
from domain.generation.log import GenerationStarted, NoticeRaised, StopRequest, TextDelta
from domain.model import Model, ModelKey, Models
from tests.domain.fakes import DONE, FakeLog, FakeModel, ManyServers, a_generation, a_model, an_order, words
from tests.domain.playing import Stage

GENERATION = a_generation().id
DOWN = ModelFailure(GenerationErrorCode.MODEL_UNREACHABLE, retryable=True)
BUSY = ModelFailure(GenerationErrorCode.MODEL_OVERLOADED, retryable=True, retry_after=3600, status=429)
BROKE = ModelFailure(GenerationErrorCode.MODEL_BROKE_OFF, retryable=True)


def chain(**servers: FakeModel) -> tuple[Models, Model]:
    """The first server's model falls back to the others' in order."""
    names = list(servers)
    first = a_model(provider=names[0], fallbacks=tuple(ModelKey(name) for name in names[1:]))
    others = [a_model(key=ModelKey(name), provider=name) for name in names[1:]]
    return Models([first, *others], ManyServers(**servers)), first


async def play(stage: Stage, models: Models, first: Model) -> None:
    await stage.run_over(models, replace(an_order(), model=first)).play()


async def test_fallbacks_are_asked_once_each_in_order_and_without_a_pause(stage: Stage, log: FakeLog) -> None:
    one, two, three = FakeModel([DOWN]), FakeModel([BUSY]), FakeModel([*words("yes"), DONE])
    await play(stage, *chain(one=one, two=two, three=three))
    assert (one.tries, two.tries, three.tries, stage.paused) == (1, 1, 1, [])
    ending = log.endings[GENERATION]
    assert (ending.status, ending.text, ending.model_key) == (GenerationStatus.COMPLETED, "yes", "three")
    assert [attempt.outcome for attempt in ending.attempts] == [
        AttemptOutcome.REFUSED_CONNECTION,
        AttemptOutcome.RATE_LIMITED,
        AttemptOutcome.ANSWERED,
    ]


async def test_a_fallback_is_told_in_the_log_before_it_speaks(stage: Stage, log: FakeLog) -> None:
    await play(stage, *chain(one=FakeModel([DOWN]), two=FakeModel([*words("yes"), DONE])))
    entries = log.entries[GENERATION]
    assert [type(entry) for entry in entries[1:4]] == [NoticeRaised, GenerationStarted, TextDelta]
    assert isinstance(entries[1], NoticeRaised)
    assert entries[1].notice.code is NoticeCode.MODEL_FALLBACK
    assert isinstance(entries[2], GenerationStarted)
    assert (entries[2].attempt, entries[2].model_key) == (2, "two")


async def test_no_other_model_goes_on_after_the_first_token(stage: Stage, log: FakeLog) -> None:
    two = FakeModel([*words("other"), DONE])
    await play(stage, *chain(one=FakeModel([*words("half "), BROKE]), two=two))
    assert (two.tries, log.endings[GENERATION].text) == (0, "half ")


async def test_when_nobody_answers_the_last_failure_is_told(stage: Stage, log: FakeLog) -> None:
    await play(stage, *chain(one=FakeModel([DOWN]), two=FakeModel([BUSY])))
    error = log.endings[GENERATION].error
    assert error is not None
    assert error.code is GenerationErrorCode.MODEL_OVERLOADED


async def test_a_server_that_keeps_failing_is_left_alone(stage: Stage, log: FakeLog) -> None:
    for _ in range(FAILURES_TO_OPEN):
        stage.circuits.failed("one")
    one, two = FakeModel([*words("no"), DONE]), FakeModel([*words("yes"), DONE])
    await play(stage, *chain(one=one, two=two))
    assert (one.tries, log.endings[GENERATION].text) == (0, "yes")
    assert log.endings[GENERATION].attempts[0].outcome is AttemptOutcome.CIRCUIT_OPEN


async def test_an_open_circuit_without_fallback_fails_at_once(stage: Stage, log: FakeLog) -> None:
    for _ in range(FAILURES_TO_OPEN):
        stage.circuits.failed("here")
    model = FakeModel([*words("no"), DONE])
    await stage.play(model)
    assert (model.tries, stage.paused) == (0, [])


async def test_an_answer_closes_the_circuit() -> None:
    circuits = Circuits()
    for _ in range(FAILURES_TO_OPEN):
        circuits.failed("one")
    assert not circuits.admits("one")
    circuits.answered("one")
    assert circuits.admits("one")


async def test_a_run_that_was_stopped_before_it_began_asks_nobody(stage: Stage, log: FakeLog) -> None:
    model = FakeModel([*words("no"), DONE])
    run = stage.run(model)
    run.stop(StopRequest(None))
    await run.play()
    ending = log.endings[GENERATION]
    assert (model.tries, ending.status, ending.usage) == (0, GenerationStatus.STOPPED, None)


async def test_a_cancelled_try_is_on_record(stage: Stage, log: FakeLog) -> None:
    run = stage.run(FakeModel([*words("x"), lambda: run.stop(StopRequest(None)), asyncio.Event()]))
    await run.play()
    assert [attempt.outcome for attempt in log.endings[GENERATION].attempts] == [AttemptOutcome.CANCELLED]


async def test_a_continued_reply_keeps_its_text_to_the_byte(stage: Stage, log: FakeLog) -> None:
    order = replace(an_order(replace(a_generation(), text_offset=6)), kept="Once  ")
    await stage.run(FakeModel([*words("  upon", " a time"), DONE]), order).play()
    assert log.endings[GENERATION].text == "Once  upon a time"
    deltas = [entry for entry in log.entries[GENERATION] if isinstance(entry, TextDelta)]
    assert deltas[0].offset == 6
