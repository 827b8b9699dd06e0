"""What the README says is so: its commands exist, its documents are valid, its table is the settings'."""

import re

import pytest
from graphql import GraphQLSchema, build_schema, parse, validate
from typer.testing import CliRunner

import schema
from server.settings import settings_table
from tests.readme import README, ROOT, blocks


@pytest.fixture(scope="module")
def contract() -> GraphQLSchema:
    return build_schema(schema.printed())


@pytest.mark.parametrize("document", blocks("graphql"))
def test_each_document_is_valid(document: str, contract: GraphQLSchema) -> None:
    assert validate(contract, parse(document)) == []


def test_each_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)", "".join(blocks("sh")), re.MULTILINE))
    assert named == {"run", "test", "check", "test-web", "prove", "chaos", "schema-diff"}
    assert named <= targets


@pytest.mark.parametrize("command", re.findall(r"^gus ([a-z]+(?: [a-z]+)?)", "".join(blocks("sh")), re.MULTILINE))
def test_each_command_explains_itself(command: str) -> None:
    from server.__main__ import app

    answer = CliRunner().invoke(app, [*command.split(), "--help"])
    assert (answer.exit_code, "Usage" in answer.output) == (0, True)


def test_the_table_is_the_settings() -> None:
    assert settings_table() in README


def test_each_file_it_links_to_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("example", ["python/gus.py", "typescript/src/gus.ts", "typescript/src/main.ts"])
def test_an_example_is_short_enough_to_be_read(example: str) -> None:
    assert len((ROOT / "examples" / example).read_text().splitlines()) < 200
