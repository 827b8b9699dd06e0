"""relay-compiler and graphql-codegen compile one document that uses every root field of the contract."""

import json
from pathlib import Path

import pytest
from graphql import build_schema

from tests.everything import operations
from tests.web.compilers import SCALARS, SCHEMA, compile_relay
from tests.web.node import HERE, refused_by, told_by

OPERATIONS = list(operations(build_schema(SCHEMA.read_text()), "everything"))
FORWARD = """
    first: Int

    \"""A cursor of this list: what comes after it.\"""
    after: String
  ): UserConnection!
"""
CODEGEN = {
    "schema": str(SCHEMA),
    "documents": "everything.graphql",
    "generates": {
        "generated.ts": {
            "plugins": ["typescript-operations"],
            "config": {"strictScalars": True, "scalars": SCALARS},
        }
    },
}

pytestmark = pytest.mark.web


def test_relay_compiles_every_root_field(folder: Path) -> None:
    tags = [f"graphql`{operation}`;" for operation in OPERATIONS]
    (folder / "everything.ts").write_text('import { graphql } from "react-relay";\n' + "\n".join(tags))
    compile_relay(folder)
    assert len(list((folder / "__generated__").glob("*.graphql.ts"))) == len(OPERATIONS)


def test_codegen_types_every_root_field_and_typescript_takes_them(folder: Path) -> None:
    (folder / "everything.graphql").write_text("\n".join(OPERATIONS))
    (folder / "codegen.json").write_text(json.dumps(CODEGEN))
    told_by(["node_modules/.bin/graphql-codegen", "--config", "codegen.json"], cwd=folder)
    generated = (folder / "generated.ts").read_text()
    assert ": any;" not in generated
    told_by(["node_modules/.bin/tsc", "--noEmit", "--strict", "generated.ts"], cwd=folder)


def test_the_contract_is_clean_by_the_rules_of_graphql_eslint(folder: Path) -> None:
    told_by(linting(folder, SCHEMA.read_text()), cwd=folder)


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("require-description", '"""One page of a list."""\ntype UserConnection', "type UserConnection"),
        ("naming-convention", "  displayName: String\n", "  display_name: String\n"),
        ("no-typename-prefix", "  displayName: String\n", "  userName: String\n"),
        ("no-unreachable-types", "scalar Long ", 'scalar Alone\n\n"""Unused."""\nscalar Long '),
        ("require-deprecation-reason", "  displayName: String\n", "  displayName: String @deprecated\n"),
        ("relay-arguments", FORWARD, FORWARD.replace("first: Int", "first: String")),
        ("relay-connection-types", "  edges: [UserEdge!]!\n", "  edges: UserEdge\n"),
        ("relay-edge-types", '  """The row itself."""\n  node: User!\n', '  """The row."""\n  row: User!\n'),
        ("relay-page-info", "  hasNextPage: Boolean!\n", "  hasNextPage: Int\n"),
    ],
)
def test_graphql_eslint_finds_what_is_planted(folder: Path, rule: str, old: str, new: str) -> None:
    contract = SCHEMA.read_text()
    assert old in contract
    assert f"@graphql-eslint/{rule}" in refused_by(linting(folder, contract.replace(old, new, 1)), cwd=folder)


def linting(folder: Path, contract: str) -> list[str]:
    (folder / "schema.graphql").write_text(contract)
    (folder / "eslint.config.mjs").write_text((HERE / "programs/eslint.config.mjs").read_text())
    return ["node_modules/.bin/eslint", "--max-warnings", "0", "schema.graphql"]


def test_codegen_reads_the_contract_from_the_server(folder: Path, gus_url: str) -> None:
    (folder / "everything.graphql").write_text("query Models { models { key } }")
    (folder / "codegen.json").write_text(json.dumps({**CODEGEN, "schema": f"{gus_url}/schema.graphql"}))
    told_by(["node_modules/.bin/graphql-codegen", "--config", "codegen.json"], cwd=folder)
    assert "ModelsQuery" in (folder / "generated.ts").read_text()
