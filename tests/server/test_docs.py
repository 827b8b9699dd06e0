"""docs/: the list of error codes is the closed one, and every file that is linked to is there."""

import re

import pytest

from server.graphql.errors import Code
from tests.readme import ROOT

DOCS = ROOT / "docs"


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| `?([A-Z_]+|\d+)`? \|", text, re.MULTILINE)


def test_every_code_is_documented_and_no_other() -> None:
    documented = [cell for cell in first_cells((DOCS / "errors.md").read_text()) if not cell.isdigit()]
    assert sorted(documented) == sorted(Code)


def test_every_close_code_of_the_server_is_documented() -> None:
    documented = {cell for cell in first_cells((DOCS / "errors.md").read_text()) if cell.isdigit()}
    sources = "".join(path.read_text() for path in (ROOT / "server/graphql").glob("*.py"))
    used = set(re.findall(r"(?:CloseSocket|close)\((\d{4}),", sources)) | set(re.findall(r"\((44\d\d), \"", sources))
    assert used - {"4403"} <= documented
    assert {"1001", "1009", "1013", "4400", "4401", "4403", "4406", "4408", "4409", "4429"} == documented


@pytest.mark.parametrize("name", ["errors.md", "clients.md"])
def test_each_file_it_links_to_is_there(name: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", (DOCS / name).read_text()) if "://" not in link]
    assert [link for link in links if not (DOCS / link).exists()] == []
