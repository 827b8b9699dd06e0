from datetime import timedelta

import pytest

from domain.conversation.titles import question, title_of
from domain.job import JobPolicy
from domain.model import Speaker

ASKED = "Which trees lose their leaves in winter, and which ones keep them all through the year?"


@pytest.mark.parametrize(
    ("answer", "title"),
    [
        ("Trees in Winter", "Trees in Winter"),
        ('  "Trees in Winter."\n', "Trees in Winter"),
        ("**Title: Trees in Winter**", "Trees in Winter"),
        ("# Trees\tin   Winter\nand more", "Trees in Winter"),
        ("«Bäume im Winter»", "Bäume im Winter"),
        ("<think>What is it\nabout?</think>\n\nTrees", "Trees"),
        ("<think>It never gets to", ""),
        ("\n\n", ""),
        ('""', ""),
        ("\u200b", ""),
        ("x" * 300, "x" * 200),
        ("\U0001f333" * 150, "\U0001f333" * 100),
    ],
)
def test_a_title_is_one_bare_line(answer: str, title: str) -> None:
    assert title_of(answer, ASKED) == title


def test_an_answer_in_place_of_a_title_gives_way_to_what_was_asked() -> None:
    answer = "Oaks and maples lose their leaves in winter, and pines keep them."
    assert title_of(answer, ASKED) == "Which trees lose their leaves in winter, and which ones keep"
    assert title_of(answer, "Which trees?") == "Which trees?"


def test_a_model_is_shown_the_first_2000_characters() -> None:
    asked = question("a" * 1500, "b" * 1500)
    shown = asked.turns[-1].text
    assert (shown.count("a" * 1500), shown.count("b")) == (1, 2000 - len("User: \n\nAssistant: ") - 1500)
    assert asked.turns[0].speaker is Speaker.SYSTEM
    assert asked.max_output_tokens == 32


def test_the_pause_before_a_job_is_tried_again_doubles_up_to_a_limit() -> None:
    policy = JobPolicy(tries=5, longest_pause=timedelta(seconds=4))
    pauses = [policy.pause(failures, timedelta()) for failures in range(1, 6)]
    assert [pause and pause.total_seconds() for pause in pauses] == [1, 2, 4, 4, None]
    assert policy.pause(1, timedelta(hours=2)) is None
