"""A title for a conversation that has none, from what was said first; its user's own is never touched."""

import re

from domain.background import BackgroundCalls, Question
from domain.conversation.rules import LIMITS
from domain.conversation.store import ConversationStore
from domain.generation.wakes import Wakes
from domain.job import Job
from domain.message import Message, MessageStore
from domain.model import Speaker, Turn
from domain.text import cut, excerpt, is_blank
from domain.usage import UsagePurpose
from domain.world import MessageId

MOST_UNITS_SHOWN = 2000
MOST_OUTPUT_TOKENS = 32
MOST_WORDS = 8
LONGEST_BEGINNING = 60

_TASK = "You write short titles for conversations: at most six words, without a full stop."
_ASK = "Write a title of two to six words for this conversation. Do not answer it."
# The smallest models need to see what a title is: told only, SmolLM2-135M repeats the answer.
_EXAMPLES = (
    ("How can I fix a flat tire on my bike?", "Patch the tube first, then pump it up.", "Fixing a Flat Bike Tire"),
    (
        "Write a SQL query that counts orders per customer.",
        "Here it is: SELECT customer, count(*) FROM orders GROUP BY customer",
        "SQL Query for Orders per Customer",
    ),
    ("Explain gravity to a child.", "Gravity is what pulls everything down to the ground.", "Gravity for Children"),
    (
        "Help me write a birthday card for my grandmother.",
        "Dear Grandma, happy birthday!",
        "Birthday Card for Grandmother",
    ),
)

_MARKS = re.compile(r"(?i)^[\s#>*_`~-]*(?:title\s*:)?")
_AROUND = " \t\"'`*_“”„«»‘’.:,;-"
_REASONING = re.compile(r"(?is)<think>.*?(?:</think>|\Z)")


class Titles:
    def __init__(
        self, conversations: ConversationStore, messages: MessageStore, calls: BackgroundCalls, wakes: Wakes
    ) -> None:
        self._conversations, self._messages, self._calls, self._wakes = conversations, messages, calls, wakes

    async def make(self, job: Job) -> None:
        """Does nothing where there is a title, or no conversation any more. Raises what BackgroundCalls.ask does."""
        found = await self._conversations.conversations(job.owner_id, [job.conversation_id])
        conversation = found.get(job.conversation_id)
        if conversation is None or conversation.title is not None:
            return
        asked, reply = await self._exchange(job)
        if asked is None or reply is None:
            return
        answer = await self._calls.ask(job, question(asked.text, reply.text))
        title = title_of(answer.text, asked.text)
        if title and await self._conversations.entitle(job.owner_id, job.conversation_id, title):
            self._wakes.wake([job.conversation_id, job.owner_id])

    async def _exchange(self, job: Job) -> tuple[Message | None, Message | None]:
        reply = await self._message(job, job.message_id)
        asked = await self._message(job, reply.parent_id) if reply and reply.parent_id else None
        return asked, reply

    async def _message(self, job: Job, message_id: MessageId) -> Message | None:
        return (await self._messages.messages(job.owner_id, [message_id])).get(message_id)


def question(asked: str, replied: str) -> Question:
    turns = [Turn(Speaker.SYSTEM, _TASK)]
    for said, answered, title in _EXAMPLES:
        turns += [Turn(Speaker.USER, _prompt(said, answered)), Turn(Speaker.ASSISTANT, title)]
    turns.append(Turn(Speaker.USER, _prompt(asked, replied)))
    return Question(UsagePurpose.TITLE, tuple(turns), MOST_OUTPUT_TOKENS, stop=("\n",))


def _prompt(asked: str, replied: str) -> str:
    exchange = f"User: {asked}\n\nAssistant: {replied}"
    return f"{cut(exchange, MOST_UNITS_SHOWN)}\n\n{_ASK}"


def title_of(answer: str, asked: str) -> str:
    """One line without quotes, marks and a model's thoughts; empty when nothing is left to see.

    A small model may answer what was asked instead: then the beginning of that is the better title.
    """
    lines = (_bare(line) for line in _REASONING.sub("", answer).splitlines())
    title = next((line for line in lines if not is_blank(line)), "")
    return title if len(title.split()) <= MOST_WORDS else _beginning(asked)


def _bare(line: str) -> str:
    return excerpt(_MARKS.sub("", line).strip(_AROUND), LIMITS.title_length)


def _beginning(asked: str) -> str:
    """Whole words of it."""
    begun = excerpt(asked, LONGEST_BEGINNING + 1)
    whole = begun if len(begun) <= LONGEST_BEGINNING else begun.rpartition(" ")[0] or begun
    return whole.strip(_AROUND)
