"""The last release's contract is kept beside today's, so that the two can be compared."""

import re
import tomllib

from graphql import build_schema

from tests.readme import ROOT

RELEASED = (ROOT / "schema/released.graphql").read_text()
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_the_contract_that_is_kept_is_that_of_the_version() -> None:
    assert RELEASED.startswith(f"# The contract of {VERSION}, "), "Write it anew: make released"
    assert build_schema(RELEASED).query_type is not None


def test_the_changelog_has_the_version_below_what_is_not_released() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] in (["Unreleased", VERSION], [VERSION, *headings[1:2]])
