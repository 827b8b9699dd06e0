"""The TypeScript example: generated, compiled, and run over a line that is cut in the middle of its first stream."""

import pytest

from tests.e2e.cutting import cut_line
from tests.e2e.scripted import script
from tests.e2e.served import ROOT, Served
from tests.e2e.test_examples import WORDS, check_told
from tests.web.node import told_by

EXAMPLE = ROOT / "examples/typescript"

pytestmark = pytest.mark.web


def test_it_sends_streams_resumes_stops_and_pages(scripted_gus: Served) -> None:
    told_by(["npm", "run", "build"], cwd=EXAMPLE)
    with cut_line(scripted_gus.origin, after=5) as line:
        given = [f"{line.origin}/graphql", scripted_gus.development_key, script(say=WORDS, delay_ms=40)]
        told = told_by(["npm", "run", "--silent", "start", "--", *given], cwd=EXAMPLE)
        assert line.cuts == 1
    check_told(told)
