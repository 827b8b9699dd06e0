"""All trees of one user as the database has them."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar
from uuid import UUID

from repositories.database import Database

R = TypeVar("R")

# One snapshot.
_ALL = """
WITH mine AS (SELECT * FROM conversations WHERE owner_id = $1 AND deleted_at IS NULL)
SELECT (SELECT json_agg(c ORDER BY c.id) FROM mine c)::text AS conversations,
  (SELECT json_agg(b) FROM branches b JOIN mine ON mine.id = b.conversation_id)::text AS branches,
  (SELECT json_agg(m ORDER BY m.conversation_id, m.number) FROM messages m JOIN mine ON mine.id = m.conversation_id)::text
    AS messages,
  (SELECT json_agg(g ORDER BY g.queued_at, g.id) FROM generations g JOIN mine ON mine.id = g.conversation_id)::text AS runs
"""


@dataclass(frozen=True, slots=True)
class StoredConversation:
    id: str
    state: str
    version: int
    event_seq: int
    message_count: int
    root_count: int
    active_leaf_id: str | None
    used_requests: int
    used_input_tokens: int
    used_output_tokens: int
    used_cost_nano: int
    used_errors: int


@dataclass(frozen=True, slots=True)
class StoredBranch:
    id: str
    conversation_id: str
    parent_branch_id: str | None
    fork_depth: int | None
    tip_number: int


@dataclass(frozen=True, slots=True)
class StoredMessage:
    id: str
    conversation_id: str
    branch_id: str
    parent_id: str | None
    depth: int
    number: int
    sibling_index: int
    child_count: int
    role: str
    status: str
    text: str
    generation_id: str | None

    @property
    def place(self) -> tuple[object, ...]:
        return self.parent_id, self.branch_id, self.depth, self.number, self.sibling_index, self.role


@dataclass(frozen=True, slots=True)
class StoredRun:
    id: str
    conversation_id: str
    reply_id: str
    status: str
    model_key: str
    ended_at: str | None
    stop_requested_at: str | None
    text_offset: int
    input_tokens: int | None
    output_tokens: int | None
    cost_nano: int | None
    error_code: str | None


@dataclass(frozen=True, slots=True)
class Tree:
    """Messages in the order of their numbers, runs in the order in which they were asked for."""

    conversation: StoredConversation
    branches: tuple[StoredBranch, ...]
    messages: tuple[StoredMessage, ...]
    runs: tuple[StoredRun, ...]

    @property
    def by_id(self) -> dict[str, StoredMessage]:
        return {message.id: message for message in self.messages}

    @property
    def families(self) -> dict[str | None, list[StoredMessage]]:
        found: dict[str | None, list[StoredMessage]] = defaultdict(list)
        for message in self.messages:
            found[message.parent_id].append(message)
        return found

    @property
    def leaves(self) -> list[StoredMessage]:
        families = self.families
        return [message for message in self.messages if message.id not in families]

    def path(self, message: StoredMessage) -> list[StoredMessage]:
        """From its root; a cycle is gone round once, and an orphan's path begins with it."""
        by_id, path = self.by_id, [message]
        while len(path) <= len(by_id) and (path[-1].parent_id or "") in by_id:
            path.append(by_id[path[-1].parent_id or ""])
        return path[::-1]

    def below(self, message: StoredMessage) -> list[StoredMessage]:
        """With itself."""
        found, families = [message], self.families
        for each in found:
            found += families.get(each.id, [])
        return found


@dataclass(frozen=True, slots=True)
class Forest:
    trees: dict[str, Tree]

    @property
    def messages(self) -> dict[str, StoredMessage]:
        return {message.id: message for tree in self.trees.values() for message in tree.messages}

    @property
    def runs(self) -> dict[str, StoredRun]:
        return {run.id: run for tree in self.trees.values() for run in tree.runs}

    @property
    def unfinished(self) -> list[StoredRun]:
        return [run for run in self.runs.values() if run.ended_at is None]

    def at_one_leaf(self, pick: int) -> "Forest":
        """Nothing but that leaf and its conversation, for acts that are to meet; counted around."""
        ends = [(tree, leaf) for tree in self.trees.values() for leaf in tree.leaves]
        if not ends:
            return self
        tree, leaf = ends[pick % len(ends)]
        return Forest({tree.conversation.id: replace(tree, messages=(leaf,))})


async def stored(database: Database, owner: UUID) -> Forest:
    [row] = await database.fetch(_ALL, owner)
    branches = _by_conversation(_rows(StoredBranch, row["branches"]))
    messages = _by_conversation(_rows(StoredMessage, row["messages"]))
    runs = _by_conversation(_rows(StoredRun, row["runs"]))
    conversations = _rows(StoredConversation, row["conversations"])
    return Forest(
        {c.id: Tree(c, tuple(branches[c.id]), tuple(messages[c.id]), tuple(runs[c.id])) for c in conversations}
    )


def _rows(kind: type[R], text: str | None) -> list[R]:
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # a dataclass each
    return [kind(**{name: row[name] for name in names}) for row in json.loads(text or "[]")]


def _by_conversation(rows: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.conversation_id].append(row)
    return found
