"""The tree as a beginner would write it: what the SQL must agree with, message for message."""

from dataclasses import dataclass, field

from domain.message import Message
from domain.page import PageArgs
from domain.world import MessageId


@dataclass(eq=False)
class Node:
    message: Message
    parent: "Node | None"
    number: int
    children: list["Node"] = field(default_factory=list)
    last_active: int = 0

    @property
    def id(self) -> MessageId:
        return self.message.id

    @property
    def path(self) -> list["Node"]:
        return [*(self.parent.path if self.parent else []), self]

    @property
    def leaves(self) -> list["Node"]:
        return [leaf for child in self.children for leaf in child.leaves] if self.children else [self]

    @property
    def leaf(self) -> "Node":
        return max(self.leaves, key=lambda leaf: (leaf.last_active, leaf.number))


class NaiveTree:
    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.roots: list[Node] = []
        self._activations = 0

    def add(self, message: Message, parent: Node | None) -> Node:
        node = Node(message, parent, len(self.nodes) + 1)
        siblings = parent.children if parent else self.roots
        if parent and not siblings:  # the reply to a leaf takes its place, also as the last one active
            node.last_active, parent.last_active = parent.last_active, 0
        siblings.append(node)
        self.nodes.append(node)
        return node

    def activate(self, node: Node) -> None:
        self._activations += 1
        node.last_active = self._activations

    def family(self, parent: Node | None) -> list[Node]:
        return parent.children if parent else self.roots

    @property
    def leaves(self) -> list[Node]:
        return [node for node in reversed(self.nodes) if not node.children]


def shared(path: list[Node], cursor: Node) -> int:
    """The depth of the deepest common ancestor; -1 without one."""
    return max((depth for depth, node in enumerate(path) if node in cursor.path), default=-1)


def page_of_path(leaf: Node, page: PageArgs, after: Node | None, before: Node | None) -> list[Node]:
    path = leaf.path
    low = 0 if after is None else shared(path, after) + 1
    high = len(path) if before is None else shared(path, before)
    between = path[low : max(low, high)]
    return between[-page.size :] if page.backward else between[: page.size]


def page_of_list(nodes: list[Node], page: PageArgs, after: Node | None, before: Node | None) -> list[Node]:
    low = 0 if after is None else nodes.index(after) + 1
    high = len(nodes) if before is None else nodes.index(before)
    between = nodes[low : max(low, high)]
    return between[-page.size :] if page.backward else between[: page.size]
