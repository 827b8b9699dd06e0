"""The JSON file that GUS_TRUSTED_DOCUMENTS names: documents by name, as the compilers of front ends write them."""

import json
from collections.abc import Mapping
from pathlib import Path

import schema
from server.graphql import TransportLimits, TrustedDocuments
from server.graphql.documents import Documents
from server.graphql.persisted import problems_of
from server.graphql.run import graphql_schema
from server.settings import BadSettings, Settings

APOLLO = "apollo-persisted-query-manifest"
EXPECTED = (
    "expected an object of documents by hash, as relay-compiler and graphql-codegen write it, "
    "or a manifest of Apollo's generate-persisted-query-manifest"
)


def read_trusted_documents(settings: Settings) -> TrustedDocuments:
    """Raises BadSettings. Whether they are valid is for the transport to say."""
    if settings.trusted_documents is None:
        return TrustedDocuments()
    return TrustedDocuments(_texts(settings.trusted_documents), only=settings.only_trusted_documents == "on")


def check_trusted_documents(settings: Settings) -> None:
    """Before a database and a model are started, and once for all workers. Raises BadSettings."""
    documents = Documents(graphql_schema(schema.build()), TransportLimits(), introspection=settings.tells_its_contract)
    if problems := problems_of(read_trusted_documents(settings), documents):
        raise refused(settings, problems)


def refused(settings: Settings, problems: Mapping[str, str]) -> BadSettings:
    return BadSettings(
        f"GUS_TRUSTED_DOCUMENTS: {settings.trusted_documents}: document {name!r}: {words}"
        for name, words in problems.items()
    )


def _texts(file: Path) -> dict[str, str]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _bad(file, f"it cannot be read as JSON ({type(error).__name__})") from error
    entries = _entries_of_apollo(found) if isinstance(found, dict) and found.get("format") == APOLLO else found
    if not isinstance(entries, dict) or not all(isinstance(text, str) for text in entries.values()):
        raise _bad(file, EXPECTED)
    return entries


def _entries_of_apollo(manifest: dict[str, object]) -> object:
    operations = manifest.get("operations")
    if manifest.get("version") != 1 or not isinstance(operations, list):
        return None
    try:
        return {str(operation["id"]): operation["body"] for operation in operations}
    except (TypeError, KeyError):
        return None


def _bad(file: Path, words: str) -> BadSettings:
    return BadSettings([f"GUS_TRUSTED_DOCUMENTS: {file}: {words}."])
