"""What a run may take at most, whatever becomes of it."""

from collections.abc import Sequence

from domain.generation.window import Window
from domain.model import Model
from domain.quota.claim import Claim, claim_of
from domain.response_format import ResponseFormat
from domain.window.scale import Scale

# What is wrong with an answer, and what is wanted.
WORDS_OF_A_REPAIR = 300


def claimed(models: Sequence[Model], window: Window, form: ResponseFormat | None, *, messages: int = 1) -> Claim:
    """An answer that has to have a form is asked for twice, if need be, and then told what is wrong."""
    tokens_in, tokens_out = window.estimated_tokens, window.output_tokens
    if form is not None and form.is_json:
        tokens_in = 2 * tokens_in + WORDS_OF_A_REPAIR + (Scale().tokens(form.schema) if form.schema else 0)
        tokens_out *= 2
    return claim_of(models, tokens_in, tokens_out, messages=messages)
