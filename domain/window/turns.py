"""The turns of a request, whoever asks when: from the same words always the same."""

from collections.abc import Iterable, Sequence

from domain.instruction import Layer, system_turns
from domain.message import MessageRole
from domain.model import Speaker, Turn
from domain.window.past import Past
from domain.window.summary import ContextSummary

_SPEAKERS = {
    MessageRole.USER: Speaker.USER,
    MessageRole.ASSISTANT: Speaker.ASSISTANT,
    MessageRole.SYSTEM: Speaker.SYSTEM,
}
# Requests that were sent years ago are rebuilt with these words: never change them.
SUMMARY_TITLE = "Summary of the conversation so far:"


def prompt_turns(
    layers: Sequence[Layer], summary: ContextSummary | None, root_first: Sequence[Past], text: str, begun: str
) -> tuple[Turn, ...]:
    """Instructions, summary, path, what is said now, and what is `begun` of the answer."""
    # A summary is made of what users said, so it must not speak with the system's voice.
    summed_up = [Turn(Speaker.USER, summary_text(summary))] if summary else []
    history = [Turn(_SPEAKERS[past.role], past.text) for past in root_first if past.text]
    # Templates put a space of their own before the answer: white space at the end would come twice.
    prefix = (Turn(Speaker.ASSISTANT, begun.rstrip()),) if begun else ()
    return system_turns(layers) + _joined([*summed_up, *history, Turn(Speaker.USER, text)]) + prefix


def summary_text(summary: ContextSummary) -> str:
    return f"{SUMMARY_TITLE}\n\n{summary.text}"


def _joined(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Neighbours of one role as one turn, for templates that insist on alternation."""
    joined: list[Turn] = []
    for turn in turns:
        if joined and joined[-1].speaker is turn.speaker:
            joined[-1] = Turn(turn.speaker, f"{joined[-1].text}\n\n{turn.text}")
        else:
            joined.append(turn)
    return tuple(joined)
