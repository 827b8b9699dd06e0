"""The documents of the TypeScript example, made into manifests of trusted documents by three front ends' own tools."""

import json
import re
from pathlib import Path

from tests.e2e.served import ROOT
from tests.web.node import told_by

SCHEMA = ROOT / "schema/schema.graphql"
SCALARS = {"DateTime": "string", "Decimal": "string", "JSON": "unknown", "Long": "number"}
EXAMPLE = (ROOT / "examples/typescript/src/operations.graphql").read_text()


def manifest_of_relay(folder: Path) -> Path:
    """Relay wants its module's name in front of each other one, and an alias where a fragment may not match."""
    named = re.sub(r"^(query|mutation|subscription) (\w+)", _named, EXAMPLE, flags=re.MULTILINE)
    named = re.sub(r"^fragment ", "fragment gus_", named, flags=re.MULTILINE)
    named = re.sub(r"\.\.\.([A-Z]\w+)", r"...gus_\1 @alias", named)
    tags = [f"graphql`{definition}`;" for definition in definitions(named)]
    (folder / "gus.ts").write_text('import { graphql } from "react-relay";\n' + "\n".join(tags))
    manifest = folder / "manifest.json"
    manifest.write_text("{}")
    compile_relay(folder, persistConfig={"file": manifest.name, "algorithm": "SHA256"})
    return manifest


def compile_relay(folder: Path, **more: object) -> None:
    (folder / "schema.graphql").write_text(SCHEMA.read_text())
    config = {"src": ".", "schema": "schema.graphql", "language": "typescript", "customScalarTypes": SCALARS}
    (folder / "relay.config.json").write_text(json.dumps({**config, **more}))
    told_by(["node_modules/.bin/relay-compiler"], cwd=folder)


def manifest_of_codegen(folder: Path) -> Path:
    """Beside it `graphql.js`: documents that know their hashes, as the client preset makes them."""
    (folder / "operations.graphql").write_text(EXAMPLE)
    preset = {"persistedDocuments": {"hashAlgorithm": "sha256"}, "fragmentMasking": False}
    typing = {"useTypeImports": True, "strictScalars": True, "scalars": SCALARS}
    output = {"preset": "client", "presetConfig": preset, "config": typing}
    config = {"schema": str(SCHEMA), "documents": "operations.graphql", "generates": {"generated/": output}}
    (folder / "codegen.json").write_text(json.dumps(config))
    told_by(["node_modules/.bin/graphql-codegen", "--config", "codegen.json"], cwd=folder)
    module = ["--module", "esnext", "--target", "es2022", "--moduleResolution", "bundler"]
    told_by(["node_modules/.bin/tsc", "--strict", *module, "generated/graphql.ts"], cwd=folder)
    (folder / "generated/package.json").write_text('{"type": "module"}')
    return folder / "generated/persisted-documents.json"


def manifest_of_apollo(folder: Path) -> Path:
    """Apollo's tool takes one operation from a file."""
    (folder / "documents").mkdir()
    for number, definition in enumerate(definitions(EXAMPLE)):
        (folder / f"documents/{number}.graphql").write_text(definition)
    config = {"documents": ["documents/*.graphql"], "output": "manifest.json"}
    (folder / "persisted-query-manifest.config.json").write_text(json.dumps(config))
    told_by(["node_modules/.bin/generate-persisted-query-manifest"], cwd=folder)
    return folder / "manifest.json"


def definitions(document: str) -> list[str]:
    return re.split(r"\n\n(?=\w)", document.strip())


def _named(operation: re.Match[str]) -> str:
    return f"{operation[1]} gus{operation[2]}{operation[1].title()}"
