"""relay-compiler and graphql-codegen compile one document that uses every root field of the contract."""

import json
from pathlib import Path

import pytest
from graphql import build_schema

import schema
from server.graphql import TransportLimits
from server.graphql.documents import Documents
from server.graphql.persisted import problems_of
from server.graphql.run import graphql_schema
from server.settings import Settings
from server.trusted import read_trusted_documents
from tests.e2e.served import ROOT
from tests.everything import operations
from tests.web.node import HERE, PACKAGES, refused_by, told_by

SCHEMA = ROOT / "schema/schema.graphql"
OPERATIONS = list(operations(build_schema(SCHEMA.read_text()), "everything"))
SCALARS = {"DateTime": "string", "Decimal": "string", "JSON": "unknown", "Long": "number"}
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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "node_modules").symlink_to(PACKAGES)
    return tmp_path


def test_relay_compiles_every_root_field(folder: Path) -> None:
    tags = [f"graphql`{operation}`;" for operation in OPERATIONS]
    (folder / "everything.ts").write_text('import { graphql } from "react-relay";\n' + "\n".join(tags))
    (folder / "schema.graphql").write_text(SCHEMA.read_text())
    config = {"src": ".", "schema": "schema.graphql", "language": "typescript", "customScalarTypes": SCALARS}
    (folder / "relay.config.json").write_text(json.dumps(config))
    told_by(["node_modules/.bin/relay-compiler"], cwd=folder)
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


def test_relays_manifest_is_one_of_trusted_documents(folder: Path) -> None:
    (folder / "models.ts").write_text(
        'import { graphql } from "react-relay";\ngraphql`query modelsQuery { models { key } }`;'
    )
    (folder / "schema.graphql").write_text(SCHEMA.read_text())
    manifest = folder / "manifest.json"
    manifest.write_text("{}")
    persisting = {"file": manifest.name, "algorithm": "SHA256"}
    config = {"src": ".", "schema": "schema.graphql", "language": "typescript", "persistConfig": persisting}
    (folder / "relay.config.json").write_text(json.dumps({**config, "customScalarTypes": SCALARS}))
    told_by(["node_modules/.bin/relay-compiler"], cwd=folder)
    trusted = read_trusted_documents(Settings(trusted_documents=manifest))
    documents = Documents(graphql_schema(schema.build()), TransportLimits(), introspection=False)
    assert (len(trusted.texts), problems_of(trusted, documents)) == (1, {})


def test_codegen_reads_the_contract_from_the_server(folder: Path, gus_url: str) -> None:
    (folder / "everything.graphql").write_text("query Models { models { key } }")
    (folder / "codegen.json").write_text(json.dumps({**CODEGEN, "schema": f"{gus_url}/schema.graphql"}))
    told_by(["node_modules/.bin/graphql-codegen", "--config", "codegen.json"], cwd=folder)
    assert "ModelsQuery" in (folder / "generated.ts").read_text()
