"""Makes what stands in for turns that fell out of the window: from the summary before and what has fallen out since."""

import logging
from collections.abc import Sequence
from itertools import accumulate, takewhile
from typing import Protocol

from domain.background import Answer, BackgroundCalls, Question
from domain.errors import ModelFailure
from domain.job import Job, NotNow
from domain.message import Message, MessageRole, MessageStatus, MessageStore
from domain.model import ModelFinishReason, Speaker, Turn
from domain.text import is_blank, units
from domain.usage import UsagePurpose
from domain.window.scale import Scale
from domain.window.summary import ContextSummary, Summaries
from domain.world import MessageId, SummaryId, UserId, World

logger = logging.getLogger("gus.summary")

MOST_OUTPUT_TOKENS = 512
# What is summed up at once; the rest goes into the next one.
MOST_MESSAGES = 200

_TASK = (
    "You sum up conversations for an assistant that will go on with them without having seen them. Keep names, numbers, "
    "decisions, open questions and what the user wants. Write plain prose in the language of the conversation, much shorter "
    "than the text, and nothing else."
)
_ASK = "Sum up the conversation above."
_UNFINISHED = frozenset({MessageStatus.PENDING, MessageStatus.STREAMING})
_NAMES = {MessageRole.USER: "User", MessageRole.ASSISTANT: "Assistant", MessageRole.SYSTEM: "System"}


class SummaryStore(Summaries, Protocol):
    async def add(self, owner: UserId, summary: ContextSummary, supersedes: SummaryId | None) -> bool:
        """False: there is one that covers as much already, or the conversation is gone."""

    async def refuse(self, owner: UserId, summary: SummaryId, through: MessageId) -> None:
        """Of what ends in `through` nothing could be made. Where there is a summary already, that stays."""


class Summarizing:
    def __init__(self, summaries: SummaryStore, messages: MessageStore, calls: BackgroundCalls, world: World) -> None:
        self._summaries, self._messages, self._calls, self._world = summaries, messages, calls, world

    async def make(self, job: Job) -> None:
        """Covers the path down to the job's message, or as much of it as goes at once.

        Raises NotNow (something of it is still being written too), and what BackgroundCalls.ask does.
        """
        through = (await self._messages.messages(job.owner_id, [job.message_id])).get(job.message_id)
        standing = await self._summaries.standing(job.owner_id, job.message_id)
        if through is None or not standing.wants(through.depth):
            return
        uncovered = await self._uncovered(job.owner_id, through, standing.summary)
        most_tokens = await self._calls.most_tokens(job.owner_id, MOST_OUTPUT_TOKENS)
        source = _that_fit(uncovered, standing.summary, most_tokens)
        if any(message.status in _UNFINISHED for message in source):
            raise NotNow
        text = _text(source, standing.summary)
        answer = await self._answer(job, text) if any(message.text for message in source) else None
        if why := refusal(answer, text):
            logger.warning("a summary was refused: %s", why)
            await self._summaries.refuse(job.owner_id, SummaryId(self._world.new_id()), job.message_id)
            return
        assert answer is not None, "it was not refused"
        before = standing.summary.id if standing.summary else None
        await self._summaries.add(job.owner_id, self._summary(answer, source[-1]), before)

    async def _answer(self, job: Job, text: str) -> Answer | None:
        """None: the model will not have it, now or later."""
        try:
            return await self._calls.ask(job, question(text))
        except ModelFailure as failure:
            if failure.retryable:
                raise
            return None

    async def _uncovered(self, owner: UserId, through: Message, before: ContextSummary | None) -> Sequence[Message]:
        """Oldest first; of very many the oldest."""
        count = through.depth - (before.depth if before else -1)
        skip = max(0, count - MOST_MESSAGES)
        return (await self._messages.ancestors(owner, through.id, skip=skip, limit=count - skip))[::-1]

    def _summary(self, answer: Answer, through: Message) -> ContextSummary:
        assert answer.counted is not None, "it is whole"
        return ContextSummary(
            SummaryId(self._world.new_id()),
            answer.text.strip(),
            through.id,
            through.depth,
            answer.model.key,
            answer.counted.output_tokens,
            self._world.now(),
        )


def question(text: str) -> Question:
    turns = Turn(Speaker.SYSTEM, _TASK), Turn(Speaker.USER, f"{text}\n\n{_ASK}")
    return Question(UsagePurpose.SUMMARY, turns, MOST_OUTPUT_TOKENS)


def refusal(answer: Answer | None, source: str) -> str | None:
    """Why it cannot stand in for its source. `answer` None: nothing can be summed up, now or later."""
    if answer is None:
        return "nothing was said, or no model takes it"
    if is_blank(answer.text):
        return "it is empty"
    if answer.reason is not ModelFinishReason.STOP:
        return "it did not finish"
    if units(answer.text.strip()) * 2 >= units(source):
        return "it is not shorter than half its source"
    return None


def _that_fit(messages: Sequence[Message], before: ContextSummary | None, most_tokens: int) -> Sequence[Message]:
    """The oldest ones, whole turns: what follows begins with a user's message, as a window does."""
    room = most_tokens - question(_text([], before)).estimated_tokens
    costs = accumulate(Scale().tokens(_line(message)) + 1 for message in messages)
    count = sum(1 for _ in takewhile(lambda cost: cost <= room, costs))
    while 0 < count < len(messages) and messages[count].role is not MessageRole.USER:
        count -= 1
    return messages[:count]


def _text(messages: Sequence[Message], before: ContextSummary | None) -> str:
    begun = [f"Before: {before.text}"] if before else []
    return "\n\n".join([*begun, *(_line(message) for message in messages if message.text)])


def _line(message: Message) -> str:
    return f"{_NAMES[message.role]}: {message.text}"
