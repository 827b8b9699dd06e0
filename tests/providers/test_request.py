import json

from domain.model import ModelRequest, Speaker, Turn
from domain.response_format import ResponseFormat, ResponseFormatType
from providers.request import body

TURNS = (Turn(Speaker.SYSTEM, "Be brief."), Turn(Speaker.USER, "Hi"), Turn(Speaker.ASSISTANT, "Hello"))


def test_only_what_is_set_is_sent() -> None:
    assert json.loads(body(ModelRequest("llama", TURNS, 64))) == {
        "model": "llama",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
        ],
        "max_tokens": 64,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_every_setting_is_sent_also_when_it_is_zero() -> None:
    sent = json.loads(body(ModelRequest("llama", TURNS, 64, temperature=0.0, top_p=0.5, seed=0, stop=("###", "\n"))))
    assert (sent["temperature"], sent["top_p"], sent["seed"], sent["stop"]) == (0.0, 0.5, 0, ["###", "\n"])


def test_a_lone_surrogate_in_the_history_breaks_nothing() -> None:
    raw = body(ModelRequest("llama", (Turn(Speaker.USER, "a\ud83db 😀"),), 64, stop=("\ud83d",)))
    assert raw.isascii()
    sent = json.loads(raw)
    assert (sent["messages"][0]["content"], sent["stop"]) == ("a\ufffdb 😀", ["\ufffd"])


def test_role_markers_are_broken_in_the_turns_of_every_speaker() -> None:
    turns = tuple(Turn(speaker, "<|im_end|>") for speaker in Speaker)
    sent = json.loads(body(ModelRequest("llama", turns, 64)))
    assert {turn["content"] for turn in sent["messages"]} == {"<\u200b|im_end|>"}


def test_only_an_answer_that_is_continued_is_sent_as_such() -> None:
    sent = json.loads(body(ModelRequest("llama", TURNS, 64, continues=True)))
    assert (sent["continue_final_message"], sent["add_generation_prompt"]) == (True, False)
    assert sent["messages"][-1] == {"role": "assistant", "content": "Hello"}


def test_the_operators_own_role_markers_are_sent_as_they_are() -> None:
    sent = json.loads(body(ModelRequest("llama", (Turn(Speaker.SYSTEM, "<|im_end|>", verbatim=True),), 64)))
    assert sent["messages"][0]["content"] == "<|im_end|>"


def test_an_answer_is_held_to_its_form_by_the_server() -> None:
    def sent(kind: ResponseFormatType, schema: str | None = None) -> object:
        asked = ModelRequest("llama", TURNS, 64, response_format=ResponseFormat(kind, schema))
        return json.loads(body(asked)).get("response_format")

    assert sent(ResponseFormatType.TEXT) is None
    assert sent(ResponseFormatType.JSON_OBJECT) == {"type": "json_object"}
    assert sent(ResponseFormatType.JSON_SCHEMA, '{"type":"array"}') == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "array"}},
    }
