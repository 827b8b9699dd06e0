"""What a model is given: the newest whole turns of the path that fit its context window, by estimate."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.errors import ContextTooLarge
from domain.generation.entity import DEFAULT_RESERVE_TOKENS, GenerationSettings
from domain.instruction import Layer, system_turns
from domain.message import Message, MessageRole, MessageStore
from domain.model import Model, ModelRequest, Speaker, Turn
from domain.world import MessageId, UserId

CHUNK = 50
TOKENS_AROUND_A_TURN = 8
BYTES_PER_TOKEN = 3

_SPEAKERS = {
    MessageRole.USER: Speaker.USER,
    MessageRole.ASSISTANT: Speaker.ASSISTANT,
    MessageRole.SYSTEM: Speaker.SYSTEM,
}


@dataclass(frozen=True, slots=True)
class Window:
    turns: tuple[Turn, ...]
    estimated_tokens: int
    output_tokens: int
    continues: bool = False

    def request(self, model: Model, settings: GenerationSettings) -> ModelRequest:
        return ModelRequest(
            name_at_provider=model.name_at_provider,
            turns=self.turns,
            max_output_tokens=self.output_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            seed=settings.seed,
            stop=settings.stop or (),
            continues=self.continues,
        )


def estimate_tokens(text: str) -> int:
    """A count that errs upwards for most tokenizers and languages."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def output_tokens(model: Model, settings: GenerationSettings) -> int:
    """What the answer may take: as asked for, at most what the model allows and half of its window."""
    asked = settings.max_output_tokens or model.max_output_tokens or DEFAULT_RESERVE_TOKENS
    return max(1, min(asked, model.max_output_tokens or asked, model.context_window // 2))


class Windows:
    def __init__(self, messages: MessageStore) -> None:
        self._messages = messages

    async def assemble(
        self,
        owner: UserId,
        parent: MessageId | None,
        text: str,
        model: Model,
        settings: GenerationSettings,
        *,
        begun: str = "",
        layers: Sequence[Layer] = (),
    ) -> Window:
        """The instructions, the path down to `parent`, then `text`, then what is `begun` of the answer.

        Raises ContextTooLarge when not even `layers`, `text` and `begun` fit.
        """
        system = system_turns(layers)
        reserve = output_tokens(model, settings)
        room = model.context_window - reserve
        newest = _cost(text) + (_cost(begun) if begun else 0) + sum(_cost(turn.text) for turn in system)
        if newest > room:
            raise ContextTooLarge(required_tokens=newest + reserve, limit_tokens=model.context_window)
        history = await self._newest_that_fit(owner, parent, room - newest) if parent else []
        turns = _joined([*(_turn(message) for message in history if message.text), Turn(Speaker.USER, text)])
        estimate = newest + sum(_cost(message.text) for message in history if message.text)
        # Templates put a space of their own before the answer: white space at the end would come twice.
        prefix = (Turn(Speaker.ASSISTANT, begun.rstrip()),) if begun else ()
        return Window(system + turns + prefix, estimate, reserve, continues=bool(begun))

    async def _newest_that_fit(self, owner: UserId, parent: MessageId, room: int) -> list[Message]:
        """Root first; begins with a user's message."""
        kept: list[Message] = []
        while True:
            chunk = await self._messages.ancestors(owner, parent, skip=len(kept), limit=CHUNK)
            for message in chunk:
                room -= _cost(message.text) if message.text else 0
                if room < 0:
                    return _whole_turns(kept)
                kept.append(message)
            if len(chunk) < CHUNK:
                return kept[::-1]


def _whole_turns(newest_first: Sequence[Message]) -> list[Message]:
    """Without the reply at the cut whose question did not fit."""
    kept = list(newest_first)
    while kept and kept[-1].role is not MessageRole.USER:
        kept.pop()
    return kept[::-1]


def _turn(message: Message) -> Turn:
    return Turn(_SPEAKERS[message.role], message.text)


def _joined(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Neighbours of one role as one turn, for templates that insist on alternation."""
    joined: list[Turn] = []
    for turn in turns:
        if joined and joined[-1].speaker is turn.speaker:
            joined[-1] = Turn(turn.speaker, f"{joined[-1].text}\n\n{turn.text}")
        else:
            joined.append(turn)
    return tuple(joined)


def _cost(text: str) -> int:
    return estimate_tokens(text) + TOKENS_AROUND_A_TURN
