"""Documents: parsed within limits, weighed, validated, and kept while there is room."""

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    GraphQLSyntaxError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from server.graphql.cost import Weight, weigh
from server.graphql.errors import Code, RequestError, bad_document, located_payload
from server.graphql.limits import TransportLimits

# Measured: a token and what the parser builds from it.
BYTES_PER_TOKEN = 600
MOST_VALIDATION_ERRORS = 20


@dataclass(frozen=True, slots=True)
class Document:
    digest: bytes
    syntax: DocumentNode
    operations: tuple[OperationDefinitionNode, ...]
    fragments: dict[str, FragmentDefinitionNode]
    kept_bytes: int

    def operation(self, name: str | None) -> OperationDefinitionNode:
        if name is None and len(self.operations) == 1:
            return self.operations[0]
        for operation in self.operations:
            if operation.name is not None and operation.name.value == name:
                return operation
        if not self.operations:
            raise bad_document(Code.BAD_REQUEST, "The document has no operation.")
        if name is None:
            raise bad_document(Code.BAD_REQUEST, "The document has several operations: say which in `operationName`.")
        raise bad_document(Code.BAD_REQUEST, f"The document has no operation named {name!r}.")


class Documents:
    """Only valid documents are kept, by the digest of their text: whoever sends rubbish evicts nothing."""

    def __init__(self, schema: GraphQLSchema, limits: TransportLimits, *, introspection: bool) -> None:
        self._schema, self._limits, self._introspection = schema, limits, introspection
        self._rules = _rules(introspection=introspection)
        self._valid: OrderedDict[bytes, Document] = OrderedDict()
        self.kept_bytes = 0

    def text(self, digest: str) -> str | None:
        """Of the document whose text has this SHA-256, in hexadecimal, if it is kept."""
        with suppress(ValueError):
            document = self._valid.get(bytes.fromhex(digest))
            location = None if document is None else document.syntax.loc
            return None if location is None else location.source.body
        return None

    def knows(self, source: str) -> bool:
        return sha256(source.encode("utf-8", "surrogatepass")).digest() in self._valid

    def read(self, source: str) -> Document:
        try:
            encoded = source.encode("utf-8")
        except UnicodeEncodeError:
            raise bad_document(Code.PARSE_FAILED, "The document has half of a surrogate pair in it.") from None
        if len(encoded) > self._limits.document_bytes:
            raise _too_complex("is too long", len(encoded), self._limits.document_bytes)
        digest = sha256(encoded).digest()
        document = self._valid.get(digest)
        if document is None:
            return _document(digest, self._parse(source), len(encoded))
        self._valid.move_to_end(digest)
        return document

    def weigh(self, document: Document, operation: OperationDefinitionNode, variables: dict[str, object]) -> Weight:
        """Every time, cached or not: the variables decide too."""
        limits = self._limits
        try:
            weight = weigh(self._schema, operation, document.fragments, variables)
        except RecursionError:
            raise bad_document(Code.TOO_COMPLEX, "The document nests fragments too deeply.") from None
        _hold("has too many operations", len(document.operations), limits.operations)
        _hold("has too many root fields", weight.width, limits.root_fields)
        _hold("is too deep", weight.depth, limits.depth)
        _hold("selects too many fields", weight.fields, limits.fields)
        _hold("has too many aliases", weight.aliases, limits.aliases)
        _hold("has too many directives", weight.directives, limits.directives)
        _hold("selects too many objects side by side", weight.widest, limits.siblings)
        _hold("may resolve too many fields: ask for smaller pages", weight.cost, limits.cost)
        return weight

    def check(self, document: Document) -> None:
        if document.digest in self._valid:
            return
        errors = validate(
            self._schema,
            document.syntax,
            self._rules,
            max_errors=MOST_VALIDATION_ERRORS,
            hide_suggestions=not self._introspection,
            allow_empty_selection_sets=False,
        )
        if errors:
            payloads = [located_payload(error, Code.VALIDATION_FAILED) for error in errors]
            raise RequestError(payloads, about_document=True)
        self._keep(document)

    def _parse(self, source: str) -> DocumentNode:
        try:
            return parse(source, max_tokens=self._limits.document_tokens, allow_empty_selection_sets=False)
        except GraphQLSyntaxError as error:
            # Too many tokens, or nested past what the parser takes.
            aborted = error.message.endswith("Parsing aborted.")
            payload = located_payload(error, Code.TOO_COMPLEX if aborted else Code.PARSE_FAILED)
            raise RequestError([payload], about_document=True) from None
        except RecursionError:
            raise bad_document(Code.TOO_COMPLEX, "The document is nested too deeply.") from None

    def _keep(self, document: Document) -> None:
        self._valid[document.digest] = document
        self.kept_bytes += document.kept_bytes
        while self.kept_bytes > self._limits.kept_documents_bytes:
            _, oldest = self._valid.popitem(last=False)
            self.kept_bytes -= oldest.kept_bytes


def _document(digest: bytes, syntax: DocumentNode, length: int) -> Document:
    operations = tuple(node for node in syntax.definitions if isinstance(node, OperationDefinitionNode))
    fragments = {node.name.value: node for node in syntax.definitions if isinstance(node, FragmentDefinitionNode)}
    return Document(digest, syntax, operations, fragments, length + syntax.token_count * BYTES_PER_TOKEN)


def _rules(*, introspection: bool) -> tuple[type[ASTValidationRule], ...]:
    closed = () if introspection else (NoSchemaIntrospectionCustomRule,)
    return (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule, *closed)


def _hold(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise _too_complex(what, count, limit)


def _too_complex(what: str, count: int, limit: int) -> RequestError:
    return bad_document(Code.TOO_COMPLEX, f"The document {what}: {count}, and at most {limit} are allowed.")
