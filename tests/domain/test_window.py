from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from domain.errors import ContextTooLarge
from domain.generation.entity import GenerationSettings
from domain.generation.window import Window, Windows, output_tokens
from domain.instruction import InstructionRef, InstructionScope, Layer, system_turns
from domain.message import MessageRole
from domain.model import ModelKey, Models, Speaker, Turn
from domain.window.past import Past
from domain.window.policy import ContextPolicy, ContextStrategy
from domain.window.scale import AROUND_PROMPT, AROUND_TURN, Scale
from domain.window.summary import ContextSummary, Standing
from domain.window.tokens import Tokens
from domain.world import ConversationId, MessageId, SummaryId, UserId
from tests.domain.fakes import NOW, FakeModel, FakeWorld, OneServer, a_model

OWNER = UserId(UUID(int=1))


class FakePasts:
    """A path, root first."""

    def __init__(self, *texts: tuple[MessageRole, str]) -> None:
        self.messages = [Past(MessageId(UUID(int=depth)), depth, *said) for depth, said in enumerate(texts)]
        self.read = 0

    def say(self, role: MessageRole, text: str, begun_at: int | None = None) -> None:
        depth = len(self.messages)
        self.messages.append(Past(MessageId(UUID(int=depth)), depth, role, text, begun_at=begun_at))

    async def policy(self, conversation_id: ConversationId) -> ContextPolicy:
        return ContextPolicy()

    async def past(self, owner: UserId, newest: MessageId, tokenizer: str, *, skip: int, limit: int) -> list[Past]:
        found = self.messages[::-1][skip : skip + limit]
        self.read += len(found)
        return found


class NoRatios:
    async def ratios(self, models: Sequence[ModelKey]) -> dict[ModelKey, float]:
        return {}


class FakeSummaries:
    def __init__(self, standing: Standing) -> None:
        self.now = standing

    async def standing(self, owner: UserId, leaf: MessageId) -> Standing:
        return self.now

    async def by_id(self, owner: UserId, ids: Sequence[SummaryId]) -> dict[SummaryId, ContextSummary]:
        return {}


def windows(path: FakePasts, standing: Standing | None = None) -> Windows:
    models = Models([a_model()], OneServer(FakeModel()))
    return Windows(path, Tokens(models, NoRatios(), FakeWorld()), FakeSummaries(standing or Standing()), models)


USER, ASSISTANT = MessageRole.USER, MessageRole.ASSISTANT
PARENT = MessageId(UUID(int=99))


async def test_a_short_path_is_sent_whole_and_in_order() -> None:
    path = FakePasts((USER, "one"), (ASSISTANT, "two"))
    window = await windows(path).assemble(OWNER, PARENT, "three", a_model(), GenerationSettings())
    assert window.request.turns == (
        Turn(Speaker.USER, "one"),
        Turn(Speaker.ASSISTANT, "two"),
        Turn(Speaker.USER, "three"),
    )


async def test_a_long_path_is_sent_from_a_user_turn_on_and_fits() -> None:
    path = FakePasts(*[(USER if n % 2 == 0 else ASSISTANT, f"{n} " * 60) for n in range(400)])
    model = a_model(context_window=2000, max_output_tokens=500)
    window = await windows(path).assemble(OWNER, PARENT, "last", model, GenerationSettings())
    assert window.request.turns[0].speaker is Speaker.USER
    assert window.request.turns[-2].text == path.messages[-1].text
    assert window.estimated_tokens + window.output_tokens <= 2000
    assert path.read == 50


async def test_empty_replies_are_left_out_and_neighbours_of_one_role_joined() -> None:
    path = FakePasts((USER, "one"), (ASSISTANT, ""))
    window = await windows(path).assemble(OWNER, PARENT, "again", a_model(), GenerationSettings())
    assert window.request.turns == (Turn(Speaker.USER, "one\n\nagain"),)


async def test_a_message_that_does_not_fit_alone_is_refused_with_both_numbers() -> None:
    with pytest.raises(ContextTooLarge) as refusal:
        await windows(FakePasts()).assemble(OWNER, None, "x" * 30_000, a_model(), GenerationSettings())
    assert (refusal.value.required_tokens, refusal.value.limit_tokens) == (AROUND_PROMPT + 21_060 + 512, 4096)


@pytest.mark.parametrize(
    ("asked", "most", "window", "expected"),
    [
        (None, 512, 4096, 512),
        (None, None, 4096, 1024),
        (100, 512, 4096, 100),
        (9999, 512, 4096, 512),
        (None, None, 64, 32),
    ],
)
def test_the_answer_gets_what_was_asked_for_within_model_and_window(
    asked: int | None, most: int | None, window: int, expected: int
) -> None:
    model = a_model(max_output_tokens=most, context_window=window)
    assert output_tokens(model, GenerationSettings(max_output_tokens=asked)) == expected


async def test_instructions_stand_first_and_are_counted() -> None:
    layer = Layer(InstructionRef(InstructionScope.PLATFORM, "", 1, ""), "Be kind.")
    plain = await windows(FakePasts()).assemble(OWNER, None, "Hi", a_model(), GenerationSettings())
    told = await windows(FakePasts()).assemble(OWNER, None, "Hi", a_model(), GenerationSettings(), layers=[layer])
    assert [turn.speaker for turn in told.request.turns] == [Speaker.SYSTEM, Speaker.USER]
    assert told.request.turns[:1] == system_turns([layer])
    system_tokens = Scale().tokens(told.request.turns[0].text) + AROUND_TURN
    assert told.estimated_tokens == plain.estimated_tokens + system_tokens


async def test_fail_refuses_a_path_that_does_not_fit() -> None:
    path = FakePasts((USER, "x" * 1500), (ASSISTANT, "y" * 1500))
    policy, model = ContextPolicy(ContextStrategy.FAIL, max_input_tokens=2000), a_model(max_output_tokens=100)
    with pytest.raises(ContextTooLarge) as refusal:
        await windows(path).assemble(OWNER, PARENT, "more", model, GenerationSettings(), policy=policy)
    assert refusal.value.limit_tokens == 2100
    assert "policy is FAIL" in refusal.value.message
    whole = replace(policy, max_input_tokens=None)
    window = await windows(path).assemble(OWNER, PARENT, "more", model, GenerationSettings(), policy=whole)
    assert window.report.included_count == 3


async def test_of_200_turns_at_least_nine_in_ten_keep_the_prompt_of_the_one_before_as_their_beginning() -> None:
    path, asking = FakePasts(), windows
    kept, before = 0, tuple[Turn, ...]()
    for turn in range(200):
        text = f"Question {turn}: " + "why do leaves fall? " * (1 + turn % 5)
        window = await asking(path).assemble(OWNER, PARENT, text, a_model(), GenerationSettings())
        assert window.estimated_tokens + window.output_tokens <= 4096
        kept += window.request.turns[: len(before)] == before
        before = window.request.turns
        answer = "Because the days grow short. " * (1 + turn % 3)
        path.say(USER, text)
        path.say(ASSISTANT, answer, begun_at=window.report.from_depth)
    assert window.report.trimmed
    assert kept >= 180


SUMMARIZE = ContextPolicy(ContextStrategy.SUMMARIZE)
SAID = "why do leaves fall? " * 3
ANSWERED = "Because the days grow short. " * 3


def summary_through(path: FakePasts, depth: int) -> ContextSummary:
    through = path.messages[depth].id
    return ContextSummary(SummaryId(UUID(int=1)), "They spoke of leaves.", through, depth, ModelKey("cheap"), 5, NOW)


async def summed_up(path: FakePasts, standing: Standing) -> Window:
    return await windows(path, standing).assemble(
        OWNER, PARENT, "more", a_model(), GenerationSettings(), policy=SUMMARIZE
    )


def talk(turns: int) -> FakePasts:
    return FakePasts(*[said for _ in range(turns) for said in ((USER, SAID), (ASSISTANT, ANSWERED))])


async def test_a_summary_is_asked_for_before_anything_falls_out() -> None:
    asked = [(turns, await summed_up(talk(turns), Standing())) for turns in range(1, 80)]
    first = next(turns for turns, window in asked if window.sums_up)
    trimmed = next(turns for turns, window in asked if window.report.trimmed)
    assert first < trimmed
    assert all(window.sums_up for turns, window in asked if turns >= first)


async def test_while_a_summary_leaves_room_no_other_is_asked_for_and_the_prompt_keeps_its_beginning() -> None:
    path, standing, asked, kept, before = FakePasts(), Standing(), 0, 0, tuple[Turn, ...]()
    for _ in range(200):
        window = await summed_up(path, standing)
        assert window.estimated_tokens + window.output_tokens <= 4096
        kept += window.request.turns[: len(before) - 1] == before[:-1]
        before = window.request.turns
        path.say(USER, SAID)
        path.say(ASSISTANT, ANSWERED, begun_at=window.report.from_depth)
        if window.uncovered:
            asked += 1
            standing = Standing(summary_through(path, window.uncovered.depth))
    report = window.report
    assert standing.summary is not None
    assert report.from_depth == standing.summary.depth + 1
    assert window.notices[0].code.value == "CONTEXT_SUMMARIZED"
    assert kept >= 180
    assert asked <= 20


async def test_a_summary_that_no_longer_covers_stands_above_a_gap_and_its_user_is_told() -> None:
    path = talk(100)
    window = await summed_up(path, Standing(summary_through(path, 9)))
    assert [notice.code.value for notice in window.notices] == ["CONTEXT_TRIMMED", "CONTEXT_SUMMARIZED"]
    assert window.request.turns[0].text.startswith("Summary of the conversation so far:\n\nThey spoke of leaves.")
    assert window.report.from_depth > 10
    assert window.uncovered is not None
    assert window.uncovered.depth > 9


async def test_what_was_refused_is_asked_for_again_when_there_is_twice_as_much() -> None:
    refused = (await summed_up(talk(55), Standing())).uncovered
    assert refused is not None
    wanted = list[bool]()
    for turns in range(55, 120):
        plain = (await summed_up(talk(turns), Standing())).uncovered
        again = (await summed_up(talk(turns), Standing(None, refused.depth))).uncovered
        assert plain is not None
        assert (again is not None) is (plain.depth + 1 >= 2 * (refused.depth + 1))
        wanted.append(again is not None)
    assert set(wanted) == {False, True}
    assert Standing(summary_through(talk(9), 9), refused_at=5).wants(10)


async def test_a_summary_may_end_in_a_question_and_its_reply_follows_it() -> None:
    path = talk(60)
    window = await summed_up(path, Standing(summary_through(path, 100)))
    assert window.report.from_depth == 101
    assert [turn.speaker for turn in window.request.turns[:3]] == [Speaker.USER, Speaker.ASSISTANT, Speaker.USER]
