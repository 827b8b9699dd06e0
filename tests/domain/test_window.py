from uuid import UUID

import pytest

from domain.errors import ContextTooLarge
from domain.generation.entity import GenerationSettings
from domain.generation.window import TOKENS_AROUND_A_TURN, Windows, estimate_tokens, output_tokens
from domain.instruction import InstructionRef, InstructionScope, Layer, system_turns
from domain.message import Message, MessageRole, MessageStatus, Place
from domain.model import Speaker, Turn
from domain.world import BranchId, ConversationId, MessageId, UserId
from tests.domain.fakes import NOW, a_model

OWNER = UserId(UUID(int=1))


class FakeAncestors:
    """A path, root first; the other reads are not there and must not be asked."""

    def __init__(self, *texts: tuple[MessageRole, str]) -> None:
        self.messages = [_message(depth, role, text) for depth, (role, text) in enumerate(texts)]
        self.read = 0

    async def ancestors(self, owner: UserId, newest: MessageId, *, skip: int, limit: int) -> list[Message]:
        found = self.messages[::-1][skip : skip + limit]
        self.read += len(found)
        return found


def _message(depth: int, role: MessageRole, text: str) -> Message:
    place = Place(BranchId(UUID(int=1)), None, depth, depth + 1, 1)
    conversation = ConversationId(UUID(int=1))
    return Message(MessageId(UUID(int=depth)), conversation, OWNER, place, role, MessageStatus.COMPLETE, text, NOW)


def windows(path: FakeAncestors) -> Windows:
    return Windows(path)  # type: ignore[arg-type]  # only ancestors are asked for


USER, ASSISTANT = MessageRole.USER, MessageRole.ASSISTANT
PARENT = MessageId(UUID(int=99))


async def test_a_short_path_is_sent_whole_and_in_order() -> None:
    path = FakeAncestors((USER, "one"), (ASSISTANT, "two"))
    window = await windows(path).assemble(OWNER, PARENT, "three", a_model(), GenerationSettings())
    assert window.turns == (Turn(Speaker.USER, "one"), Turn(Speaker.ASSISTANT, "two"), Turn(Speaker.USER, "three"))


async def test_a_long_path_is_sent_from_a_user_turn_on_and_fits() -> None:
    path = FakeAncestors(*[(USER if n % 2 == 0 else ASSISTANT, f"{n} " * 200) for n in range(400)])
    model = a_model(context_window=2000, max_output_tokens=500)
    window = await windows(path).assemble(OWNER, PARENT, "last", model, GenerationSettings())
    assert window.turns[0].speaker is Speaker.USER
    assert window.turns[-2].text == path.messages[-1].text
    assert window.estimated_tokens + window.output_tokens <= 2000
    assert path.read == 50


async def test_empty_replies_are_left_out_and_neighbours_of_one_role_joined() -> None:
    path = FakeAncestors((USER, "one"), (ASSISTANT, ""))
    window = await windows(path).assemble(OWNER, PARENT, "again", a_model(), GenerationSettings())
    assert window.turns == (Turn(Speaker.USER, "one\n\nagain"),)


async def test_a_message_that_does_not_fit_alone_is_refused_with_both_numbers() -> None:
    with pytest.raises(ContextTooLarge) as refusal:
        await windows(FakeAncestors()).assemble(OWNER, None, "x" * 30_000, a_model(), GenerationSettings())
    assert (refusal.value.required_tokens, refusal.value.limit_tokens) == (10_520, 4096)


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


def test_the_estimate_counts_bytes_so_that_other_scripts_are_not_underrated() -> None:
    assert [estimate_tokens(text) for text in ("", "abc", "木木", "\ud800")] == [0, 1, 2, 1]


async def test_instructions_stand_first_and_are_counted() -> None:
    layer = Layer(InstructionRef(InstructionScope.PLATFORM, "", 1, ""), "Be kind.")
    plain = await windows(FakeAncestors()).assemble(OWNER, None, "Hi", a_model(), GenerationSettings())
    told = await windows(FakeAncestors()).assemble(OWNER, None, "Hi", a_model(), GenerationSettings(), layers=[layer])
    assert [turn.speaker for turn in told.turns] == [Speaker.SYSTEM, Speaker.USER]
    assert told.turns[:1] == system_turns([layer])
    system_tokens = estimate_tokens(told.turns[0].text) + TOKENS_AROUND_A_TURN
    assert told.estimated_tokens == plain.estimated_tokens + system_tokens
