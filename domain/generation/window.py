"""What a model is given: instructions, a summary where turns fell out, the newest whole turns of the path, the new text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from domain.errors import ContextTooLarge
from domain.generation.entity import GenerationSettings, Notice, NoticeCode
from domain.instruction import Layer, system_turns
from domain.model import Model, ModelCapability, ModelRequest, Models, TokenCount, Turn
from domain.response_format import ResponseFormat
from domain.user import Viewer
from domain.window.choice import Chosen, ReadPath, is_nearly_full, slid, summarized, summary_cost
from domain.window.past import Past, PastStore
from domain.window.policy import USUAL, ContextPolicy, ContextStrategy
from domain.window.report import ContextReport
from domain.window.scale import AROUND_PROMPT, AROUND_TURN, Scale, weight
from domain.window.summary import ContextSummary, Summaries, Uncovered
from domain.window.tokens import Counts, Tokens
from domain.window.turns import prompt_turns
from domain.world import ConversationId, MessageId, SummaryId, UserId

CHUNK = 50
LARGEST_CHUNK = 2000

_TRIMMED = Notice(
    NoticeCode.CONTEXT_TRIMMED, "The conversation outgrew the model's window: its oldest turns were left out."
)
_SUMMARIZED = Notice(
    NoticeCode.CONTEXT_SUMMARIZED, "The conversation outgrew the model's window: its oldest turns were summed up."
)


@dataclass(frozen=True, slots=True)
class Window:
    """`said`: the new text's tokens where the model's server counted them, to be stored with it.

    `settled`: nothing in it can change any more. `report` lacks its leaf until the message is stored that is answered.
    """

    request: ModelRequest
    report: ContextReport
    said: TokenCount | None = None
    settled: bool = True
    uncovered: Uncovered | None = None
    notices: tuple[Notice, ...] = ()

    @property
    def estimated_tokens(self) -> int:
        return self.report.estimated_input_tokens

    @property
    def output_tokens(self) -> int:
        return self.request.max_output_tokens

    @property
    def sums_up(self) -> MessageId | None:
        """A summary of the path down to that message is wanted."""
        return self.uncovered.through if self.uncovered else None

    def answering(self, asked: MessageId) -> ContextReport:
        return replace(self.report, leaf=asked)


def output_tokens(model: Model, settings: GenerationSettings, policy: ContextPolicy = USUAL) -> int:
    """What the answer may take: as asked for, at most what the model allows and half of its window."""
    asked = settings.max_output_tokens or model.max_output_tokens or policy.reserve_output_tokens
    return max(1, min(asked, model.max_output_tokens or asked, model.context_window // 2))


class Windows:
    def __init__(self, pasts: PastStore, tokens: Tokens, summaries: Summaries, models: Models) -> None:
        self._pasts, self._tokens, self._summaries, self._models = pasts, tokens, summaries, models

    async def policy(self, conversation_id: ConversationId) -> ContextPolicy:
        return await self._pasts.policy(conversation_id)

    async def summaries(self, viewer: Viewer, ids: Sequence[SummaryId]) -> dict[SummaryId, ContextSummary]:
        return await self._summaries.by_id(viewer.id, ids)

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
        policy: ContextPolicy = USUAL,
    ) -> Window:
        """The instructions, the path down to `parent`, then `text`, then what is `begun` of the answer.

        Raises ContextTooLarge when not even `layers`, `text` and `begun` fit, or when the policy is FAIL and not all fits.
        """
        counts = await self._tokens.count(model, system_turns(layers), text, begun)
        reserve = output_tokens(model, settings, policy)
        limit = min(model.context_window - reserve, policy.max_input_tokens or model.context_window)
        room = limit - _newest(counts)
        if room < 0:
            raise ContextTooLarge(required_tokens=_newest(counts) + reserve, limit_tokens=limit + reserve)
        path = await self._read(owner, parent, model, counts.scale, room) if parent else ReadPath()
        if policy.strategy is ContextStrategy.FAIL and sum(path.costs) > room:
            required = limit - room + sum(path.costs) + reserve
            raise ContextTooLarge(required_tokens=required, limit_tokens=limit + reserve, whole_path=True)
        chosen = await self._choose(owner, parent, policy.strategy, path, counts.scale, room)
        turns = prompt_turns(layers, chosen.summary, path.messages[: chosen.count][::-1], text, begun)
        request = _request(model, settings, turns, reserve, continues=bool(begun))
        return self._window(model, request, policy.strategy, layers, path, chosen, counts)

    async def _read(self, owner: UserId, parent: MessageId, model: Model, scale: Scale, room: int) -> ReadPath:
        """In chunks: a window holds ten messages or thousands, and a conversation has a hundred thousand."""
        messages: list[Past] = []
        costs: list[int] = []
        limit, left = CHUNK, room
        while True:
            chunk = await self._pasts.past(owner, parent, model.tokenizer, skip=len(messages), limit=limit)
            messages += chunk
            costs += [scale.turn(past.role, past.text, past.tokens) for past in chunk]
            left = room - sum(costs)
            if left < 0 or len(chunk) < limit:
                return ReadPath(tuple(messages), tuple(costs), whole=len(chunk) < limit)
            limit = min(max(left * len(costs) // max(sum(costs), 1) + 1, CHUNK), LARGEST_CHUNK)

    async def _choose(
        self, owner: UserId, leaf: MessageId | None, strategy: ContextStrategy, path: ReadPath, scale: Scale, room: int
    ) -> Chosen:
        if strategy is ContextStrategy.SUMMARIZE and leaf is not None and is_nearly_full(path, room):
            return summarized(path, await self._summaries.standing(owner, leaf), scale, room)
        return slid(path, room)

    def _window(
        self,
        model: Model,
        request: ModelRequest,
        strategy: ContextStrategy,
        layers: Sequence[Layer],
        path: ReadPath,
        chosen: Chosen,
        counts: Counts,
    ) -> Window:
        included = path.messages[: chosen.count]
        fell_out = path.to_depth - len(included)
        covered = chosen.summary.depth + 1 if chosen.summary else 0
        summary_tokens = summary_cost(chosen.summary, counts.scale)
        report = ContextReport(
            strategy=strategy,
            instructions=tuple(layer.ref for layer in layers),
            leaf=None,
            from_depth=fell_out,
            to_depth=path.to_depth,
            summary_id=chosen.summary.id if chosen.summary else None,
            estimated_input_tokens=_newest(counts) + summary_tokens + sum(path.costs[: chosen.count]),
            context_window=model.context_window,
            name_at_provider=request.name_at_provider,
            max_output_tokens=request.max_output_tokens,
            prompt_sha256=sha256(self._models.server(model).body(request)).hexdigest(),
            weight=sum(weight(turn.text) for turn in request.turns),
            around=AROUND_PROMPT + AROUND_TURN * len(request.turns),
            holds_to_form=request.response_format is not None,
        )
        notices = (_TRIMMED,) * (covered < fell_out) + (_SUMMARIZED,) * (chosen.summary is not None)
        settled = not any(past.unfinished for past in included)
        said = TokenCount(model.tokenizer, counts.said) if counts.exact else None
        return Window(request, report, said, settled, chosen.uncovered, notices)


def _newest(counts: Counts) -> int:
    return counts.scale.around + counts.said + counts.begun


def _request(
    model: Model, settings: GenerationSettings, turns: tuple[Turn, ...], max_output_tokens: int, *, continues: bool
) -> ModelRequest:
    return ModelRequest(
        name_at_provider=model.name_at_provider,
        turns=turns,
        max_output_tokens=max_output_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        seed=settings.seed,
        stop=settings.stop or (),
        continues=continues,
        response_format=None if continues else _enforced(model, settings),
        context_window=model.context_window,
    )


def _enforced(model: Model, settings: GenerationSettings) -> ResponseFormat | None:
    """By the server, and not for what goes on: it would begin the form anew in the middle. We check it in any case."""
    return settings.response_format if ModelCapability.JSON_SCHEMA in model.capabilities else None
