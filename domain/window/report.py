"""What a run was given: enough to write its request again byte for byte from what is stored."""

from dataclasses import dataclass

from domain.instruction import InstructionRef
from domain.window.policy import ContextStrategy
from domain.world import MessageId, SummaryId


@dataclass(frozen=True, slots=True)
class ContextReport:
    """Of the path down to `leaf` what stands at `from_depth` to `to_depth`; `leaf` None: nothing of it is stored yet.

    `name_at_provider`, `max_output_tokens`: as the request had them. `weight` and `around`: what the estimate was made of, see `Scale`.
    `holds_to_form`: the server was told of the run's response format.
    """

    strategy: ContextStrategy
    instructions: tuple[InstructionRef, ...]
    leaf: MessageId | None
    from_depth: int
    to_depth: int
    summary_id: SummaryId | None
    estimated_input_tokens: int
    context_window: int
    name_at_provider: str
    max_output_tokens: int
    prompt_sha256: str
    weight: int
    around: int
    holds_to_form: bool = False
    provider_input_tokens: int | None = None
    provider_truncated: bool = False

    @property
    def included_count(self) -> int:
        return self.to_depth - self.from_depth + 1

    @property
    def excluded_count(self) -> int:
        return self.from_depth

    @property
    def trimmed(self) -> bool:
        return self.from_depth > 0
