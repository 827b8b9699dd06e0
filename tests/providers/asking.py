"""Asking the scripted model server, and what came back."""

import json
from dataclasses import dataclass
from datetime import timedelta

from domain.errors import ModelFailure
from domain.model import AnswerEnd, LanguageModel, ModelRequest, ReasoningPiece, Speaker, TextPiece, Turn
from providers.openai import ServerConfig

PATIENT = timedelta(seconds=20)


@dataclass(slots=True)
class Answered:
    """However its deltas came together in pieces, which is the network's doing; `tokens` counts them."""

    text: str = ""
    reasoning: str = ""
    tokens: int = 0
    end: AnswerEnd | None = None
    failure: ModelFailure | None = None


def scripted(**script: object) -> ModelRequest:
    return saying(f"script: {json.dumps(script)}")


def saying(text: str, model: str = "scripted") -> ModelRequest:
    return ModelRequest(model, (Turn(Speaker.USER, text),), 100)


async def ask(server: LanguageModel, request: ModelRequest) -> Answered:
    answered = Answered()
    try:
        async for piece in server.answer(request):
            match piece:
                case TextPiece(text, tokens):
                    answered.text += text
                    answered.tokens += tokens
                case ReasoningPiece(text, tokens):
                    answered.reasoning += text
                    answered.tokens += tokens
                case AnswerEnd():
                    answered.end = piece
    except ModelFailure as failure:
        answered.failure = failure
    return answered


def config(
    base_url: str, *, first_token: timedelta = PATIENT, between: timedelta = PATIENT, connect: timedelta = PATIENT
) -> ServerConfig:
    return ServerConfig(
        "scripted",
        base_url,
        api_key="the-key",
        connect_timeout=connect,
        first_token_timeout=first_token,
        between_tokens_timeout=between,
    )
