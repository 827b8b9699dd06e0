"""The contract, held by graphql-inspector against the last release's: what breaks clients is named in the changelog."""

from pathlib import Path

import pytest

from tests.readme import ROOT
from tests.web.node import refused_by, told_by

RELEASED, NOW, CHANGELOG = ROOT / "schema/released.graphql", ROOT / "schema/schema.graphql", ROOT / "CHANGELOG.md"
PLANTED = [
    (
        '  """For people."""\n  displayName: String\n',
        "",
        "Field 'displayName' was removed from object type 'User'",
        "User.displayName",
    ),
    (
        'do."""\n  role: Role!\n',
        'do."""\n  role: Role\n',
        "'User.role' changed type from 'Role!' to 'Role'",
        "User.role",
    ),
    (
        "  messageCount: Int!",
        "  messageCount: String!",
        "changed type from 'Int!' to 'String!'",
        "Conversation.messageCount",
    ),
    (
        '  """By title; those without one last."""\n  TITLE_ASC\n',
        "",
        "Enum value 'TITLE_ASC' was removed",
        "ConversationOrder.TITLE_ASC",
    ),
    (
        " | NotFound | ServerDraining\n",
        " | ServerDraining\n",
        "Member 'NotFound' was removed",
        "DeleteConversationResult",
    ),
]

pytestmark = pytest.mark.web


def comparing(released: Path, now: Path, changelog: Path) -> list[str]:
    return ["node", "programs/diff.mjs", str(released), str(now), str(changelog)]


def changed(tmp_path: Path, old: str, new: str, *, entry: str = "") -> list[str]:
    contract, changelog = NOW.read_text(), CHANGELOG.read_text()
    assert old in contract
    (tmp_path / "now.graphql").write_text(contract.replace(old, new, 1))
    (tmp_path / "CHANGELOG.md").write_text(changelog.replace("## Unreleased\n", f"## Unreleased\n\n{entry}", 1))
    return comparing(NOW, tmp_path / "now.graphql", tmp_path / "CHANGELOG.md")


def test_what_breaks_since_the_last_release_is_named_in_the_changelog() -> None:
    told = told_by(comparing(RELEASED, NOW, CHANGELOG))
    assert "changes that no client feels" in told


@pytest.mark.parametrize(("old", "new", "message", "path"), PLANTED)
def test_a_breaking_change_is_found(tmp_path: Path, old: str, new: str, message: str, path: str) -> None:
    found = refused_by(changed(tmp_path, old, new))
    assert "BREAKING: " in found
    assert message in found
    assert f'"- Breaking: `{path}` ..."' in found


def test_one_that_the_changelog_names_is_let_through_and_printed(tmp_path: Path) -> None:
    old, new, message, path = PLANTED[0]
    told = told_by(changed(tmp_path, old, new, entry=f"- Breaking: `{path}` is gone.\n"))
    assert f"breaking, as the changelog says: {message}" in told


@pytest.mark.parametrize("entry", ["- `User.displayName` is gone.\n", "- Breaking: `User.role` is gone.\n"])
def test_another_entry_does_not_name_it(tmp_path: Path, entry: str) -> None:
    old, new, _, _ = PLANTED[0]
    assert "BREAKING: " in refused_by(changed(tmp_path, old, new, entry=entry))


def test_a_release_that_has_named_it_does_not_name_it_again(tmp_path: Path) -> None:
    old, new, _, path = PLANTED[0]
    command = changed(tmp_path, old, new)
    with (tmp_path / "CHANGELOG.md").open("a") as changelog:
        changelog.write(f"- Breaking: `{path}` is gone.\n")
    assert "BREAKING: " in refused_by(command)


def test_a_dangerous_change_is_printed(tmp_path: Path) -> None:
    told = told_by(changed(tmp_path, "enum Rating {\n", 'enum Rating {\n  """So so."""\n  SIDEWAYS\n\n'))
    assert "dangerous: Enum value 'SIDEWAYS' was added to enum 'Rating'" in told
