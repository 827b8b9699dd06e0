"""Documents by name: trusted ones from a manifest, and those that were seen before, by the hash of their text (APQ)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from server.graphql.body import HASHED, GraphQLRequest
from server.graphql.documents import Documents
from server.graphql.errors import Code, RequestError, bad_document

# Apollo Client reads the message, others the code.
NOT_FOUND = "PersistedQueryNotFound"


@dataclass(frozen=True, slots=True)
class TrustedDocuments:
    """`texts`: by whatever name the manifest gives them. `only`: no others are taken."""

    texts: Mapping[str, str] = field(default_factory=dict)
    only: bool = False


class DocumentsByName:
    """What was seen before is what `Documents` keeps, which is bounded by bytes: there is no second cache."""

    def __init__(self, documents: Documents, trusted: TrustedDocuments) -> None:
        self._documents, self._only = documents, trusted.only
        # Under the hash of their text as well: clients that send both, or make the hash themselves, need no other name.
        named = {name.removeprefix(HASHED): text for name, text in trusted.texts.items()}
        self._trusted = {_hash(text): text for text in trusted.texts.values()} | named

    def spelled_out(self, request: GraphQLRequest) -> GraphQLRequest:
        """With the text of its document. Raises RequestError."""
        if request.is_named_only:
            return replace(request, query=self._text(str(request.document_name)))
        if self._only and _hash(request.query) not in self._trusted:
            raise bad_document(Code.PERSISTED_QUERY_REQUIRED, "Only documents that were registered are taken here.")
        if request.declared_hash is not None and request.declared_hash != _hash(request.query):
            raise bad_document(Code.BAD_REQUEST, "`sha256Hash` is not the hash of `query`.")
        return request

    def _text(self, name: str) -> str:
        text = self._trusted.get(name)
        if text is None and not self._only:
            text = self._documents.text(name)
        if text is None:
            raise bad_document(Code.PERSISTED_QUERY_NOT_FOUND, NOT_FOUND)
        return text


class BadDocuments(Exception):
    """`problems`: by the name of each trusted document that would be refused, what would be said."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(problems)
        self.problems = problems


def problems_of(trusted: TrustedDocuments, documents: Documents) -> dict[str, str]:
    """Of those that this server would refuse, by name: what it would say."""
    found = dict[str, str]()
    for name, text in trusted.texts.items():
        try:
            document = documents.read(text)
            for operation in document.operations:
                documents.weigh(document, operation, {})
            documents.check(document)
        except RequestError as error:
            found[name] = str(error)
    return found


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
