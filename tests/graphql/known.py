"""What the answers before have shown, for arguments to name."""

from collections import defaultdict, deque

from resolvers.node import decode
from tests.graphql.ids import UNKNOWN

KEPT = 40
CURSORS = ("cursor", "startCursor", "endCursor")


class Known:
    """Ids and cursors that were seen in answers, the latest of them."""

    def __init__(self) -> None:
        self._ids: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._cursors: deque[str] = deque(maxlen=KEPT)

    def learn(self, answer: object, name: str = "") -> None:
        match answer:
            case dict():
                for key, value in answer.items():
                    self.learn(value, key)
            case list():
                for value in answer:
                    self.learn(value, name)
            case str() if name in CURSORS:
                self._cursors.append(answer)
            # Who asks must not revoke the key that he asks with.
            case str() if (found := decode(answer)) and found[0] in UNKNOWN and found[0] != "ApiKey":
                self.add(found[0], answer)

    def add(self, kind: str, id: str) -> None:
        if id not in self._ids[kind]:
            self._ids[kind].append(id)

    def id(self, kind: str | None, pick: int) -> str:
        """Counted around; of any kind when None."""
        ids = self._ids[kind] if kind else [id for ids in self._ids.values() for id in ids]
        return ids[pick % len(ids)] if ids else UNKNOWN.get(kind or "Message", "")

    def cursor(self, pick: int) -> str:
        return self._cursors[pick % len(self._cursors)] if self._cursors else ""
