"""What is to happen when a conversation outgrows the model's window."""

from dataclasses import dataclass
from enum import Enum

DEFAULT_RESERVE_TOKENS = 1024


class ContextStrategy(Enum):
    SLIDING_WINDOW = "SLIDING_WINDOW"
    SUMMARIZE = "SUMMARIZE"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class ContextPolicy:
    """`max_input_tokens`: a line below the model's own; None: what its window holds.

    `reserve_output_tokens`: kept free for an answer whose length neither the send nor the model limits.
    """

    strategy: ContextStrategy = ContextStrategy.SLIDING_WINDOW
    max_input_tokens: int | None = None
    reserve_output_tokens: int = DEFAULT_RESERVE_TOKENS


USUAL = ContextPolicy()
