"""The Python example, over a line that is cut in the middle of its first stream."""

import json
import subprocess
import sys

from tests.e2e.cutting import cut_line
from tests.e2e.scripted import script
from tests.e2e.served import ROOT, Served

WORDS = [f"Wort{number} 🌳 " for number in range(25)]


def test_it_sends_streams_resumes_stops_and_pages(served_elsewhere: Served) -> None:
    with cut_line(served_elsewhere.origin, after=5) as line:
        told = _run(f"{line.origin}/graphql", served_elsewhere.development_key, script(say=WORDS, delay_ms=40))
        assert line.cuts == 1
    check_told(told)


def check_told(told: str) -> None:
    """What both examples say at their end."""
    begins = ("The whole answer: ", "Stopped where", "Branch", "Now shown: ")
    whole, stopped, branch, shown = [line for line in told.splitlines() if line.startswith(begins)]
    assert json.loads(whole.removeprefix(begins[0])) == "".join(WORDS)
    assert stopped.startswith('Stopped where it was seen to be: "Wort0')
    assert stopped.endswith((" true", " True"))
    assert branch == "Branch 2 of 2"
    assert json.loads(shown.removeprefix(begins[3]))[1] == "".join(WORDS)


def _run(*arguments: str) -> str:
    command = [sys.executable, "-W", "error", "examples/python/gus.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
