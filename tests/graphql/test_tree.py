"""A conversation read as a tree: edges, paths, pages and leaves."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.graphql.front_end import FrontEnd, script
from tests.graphql.ids import MALFORMED, UNKNOWN

PATH = """
query($id: ID!, $leaf: ID, $first: Int, $after: String, $last: Int, $before: String) {
  conversation(id: $id) {
    path(leaf: $leaf, first: $first, after: $after, last: $last, before: $before) {
      nodes { id }
      edges { cursor node { id } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}
"""

MESSAGES = """
query($id: ID!, $filter: MessageFilter, $first: Int, $after: String) {
  conversation(id: $id) {
    messages(filter: $filter, first: $first, after: $after) {
      nodes { id receivedAt }
      pageInfo { hasNextPage hasPreviousPage endCursor }
    }
  }
}
"""

LEAVES = """
query($id: ID!, $first: Int, $after: String) {
  conversation(id: $id) { leaves(first: $first, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }
}
"""

FAMILY = """
query($id: ID!, $first: Int, $after: String) {
  message(id: $id) {
    children(first: $first, after: $after) { nodes { id } pageInfo { hasNextPage hasPreviousPage endCursor } }
    siblings(first: $first, after: $after) { nodes { id } pageInfo { hasNextPage hasPreviousPage endCursor } }
  }
}
"""

EDGES = """
query($id: ID!) {
  message(id: $id) {
    id depth siblingIndex siblingCount childCount
    parent { id } previousSibling { id } nextSibling { id } leaf { id }
    children { nodes { id } } siblings { nodes { id } }
    conversation { activeLeaf { id } messageCount rootCount }
  }
}
"""


@dataclass(frozen=True)
class Tree:
    """q0 - a0 - q1 - a1, with q2 - a2 and q3 - a3 beside q1; a3 is the active leaf."""

    conversation: str
    id: dict[str, str]
    name: dict[str, str]

    def names(self, messages: list[dict[str, Any]]) -> list[str]:
        return [self.name[message["id"]] for message in messages]


@pytest.fixture
async def tree(ada: FrontEnd) -> Tree:
    first = await ada.said(script(words=1))
    below = {"conversation": first["conversation"]["id"], "parent": first["reply"]["id"]}
    sends = [first, *[await ada.said(script(words=1), **below) for _ in range(3)]]
    ids: dict[str, str] = {}
    for number, sent in enumerate(sends):
        ids |= {f"q{number}": sent["userMessage"]["id"], f"a{number}": sent["reply"]["id"]}
    return Tree(first["conversation"]["id"], ids, {id: name for name, id in ids.items()})


# name, depth, parent, children, siblings, leaf
PLACES: list[tuple[str, int, str | None, list[str], list[str], str]] = [
    ("q0", 0, None, ["a0"], ["q0"], "a3"),
    ("a0", 1, "q0", ["q1", "q2", "q3"], ["a0"], "a3"),
    ("q1", 2, "a0", ["a1"], ["q1", "q2", "q3"], "a1"),
    ("q2", 2, "a0", ["a2"], ["q1", "q2", "q3"], "a2"),
    ("q3", 2, "a0", ["a3"], ["q1", "q2", "q3"], "a3"),
    ("a2", 3, "q2", [], ["a2"], "a2"),
]


async def test_what_fails_beside_an_edge_takes_nothing_from_who_asks_for_the_same_edge(ada: FrontEnd) -> None:
    conversation = (await ada.said(script(words=1)))["conversation"]["id"]
    failing = "path(last: 501) { nodes { id } }"
    for order in (("a", failing), ("b", "id")), (("b", "id"), ("a", failing)):
        parts = " ".join(f"{name}: conversation(id: $id) {{ instruction {other} }}" for name, other in order)
        told = await ada.answer(f"query($id: ID!) {{ {parts} }}", id=conversation)
        assert [error["extensions"]["code"] for error in told["errors"]] == ["BAD_PAGE"]
        assert told["data"] == {"a": None, "b": {"instruction": None, "id": conversation}}


async def test_every_edge_of_a_message_agrees_with_the_tree(ada: FrontEnd, tree: Tree) -> None:
    for name, depth, parent, children, siblings, leaf in PLACES:
        message = (await ada.ask(EDGES, id=tree.id[name]))["message"]
        index = siblings.index(name)
        assert (message["depth"], message["childCount"]) == (depth, len(children))
        assert (message["siblingIndex"], message["siblingCount"]) == (index + 1, len(siblings))
        assert named(tree, message["parent"]) == parent
        assert named(tree, message["previousSibling"]) == (siblings[index - 1] if index else None)
        assert named(tree, message["nextSibling"]) == (siblings[index + 1] if index + 1 < len(siblings) else None)
        assert named(tree, message["leaf"]) == leaf
        assert tree.names(message["children"]["nodes"]) == children
        assert tree.names(message["siblings"]["nodes"]) == siblings
        assert message["conversation"] == {"activeLeaf": {"id": tree.id["a3"]}, "messageCount": 8, "rootCount": 1}


async def test_the_leaf_of_an_inner_message_is_the_one_last_active_below_it(ada: FrontEnd, tree: Tree) -> None:
    sent = await ada.said(script(words=1), conversation=tree.conversation, parent=tree.id["a1"])
    for name in ("q0", "a0", "q1", "a1"):
        assert (await ada.ask(EDGES, id=tree.id[name]))["message"]["leaf"] == {"id": sent["reply"]["id"]}
    assert (await ada.ask(EDGES, id=tree.id["q3"]))["message"]["leaf"] == {"id": tree.id["a3"]}


async def test_children_and_siblings_page_in_creation_order(ada: FrontEnd, tree: Tree) -> None:
    message = (await ada.ask(FAMILY, id=tree.id["a0"], first=2))["message"]
    assert tree.names(message["children"]["nodes"]) == ["q1", "q2"]
    assert message["children"]["pageInfo"]["hasNextPage"] is True
    after = message["children"]["pageInfo"]["endCursor"]
    message = (await ada.ask(FAMILY, id=tree.id["a0"], first=2, after=after))["message"]
    assert tree.names(message["children"]["nodes"]) == ["q3"]
    assert message["children"]["pageInfo"]["hasNextPage"] is False
    assert message["children"]["pageInfo"]["hasPreviousPage"] is True
    message = (await ada.ask(FAMILY, id=tree.id["q2"], first=2, after=after))["message"]
    assert tree.names(message["siblings"]["nodes"]) == ["q3"]


# arguments, the names on the page, more before it, more after it
PAGES: list[tuple[dict[str, Any], list[str], bool, bool]] = [
    ({}, ["q0", "a0", "q3", "a3"], False, False),
    ({"leaf": "a1"}, ["q0", "a0", "q1", "a1"], False, False),
    ({"leaf": "q2"}, ["q0", "a0", "q2"], False, False),
    ({"leaf": "q0"}, ["q0"], False, False),
    ({"first": 2}, ["q0", "a0"], False, True),
    ({"last": 2}, ["q3", "a3"], True, False),
    ({"first": 2, "after": "a0"}, ["q3", "a3"], True, False),
    ({"first": 1, "after": "q0"}, ["a0"], True, True),
    ({"last": 2, "before": "a3"}, ["a0", "q3"], True, True),
    ({"before": "q3"}, ["q0", "a0"], False, True),
    ({"after": "q3"}, ["a3"], True, False),
    ({"first": 1, "after": "q0", "before": "a3"}, ["a0"], True, True),
    ({"last": 1, "after": "q0", "before": "a3"}, ["q3"], True, True),
    ({"after": "a3"}, [], True, False),
    ({"before": "q0"}, [], False, True),
    # The cursor of another branch counts from the deepest common ancestor.
    ({"leaf": "a1", "after": "a3"}, ["q1", "a1"], True, False),
    ({"leaf": "a1", "before": "q2"}, ["q0"], False, True),
]


async def test_a_path_is_paged_both_ways(ada: FrontEnd, tree: Tree) -> None:
    cursors = await cursors_of(ada, tree)
    for arguments, names, more_before, more_after in PAGES:
        given = {
            name: tree.id[value] if name == "leaf" else cursors.get(value, value) for name, value in arguments.items()
        }
        path = (await ada.ask(PATH, id=tree.conversation, **given))["conversation"]["path"]
        ends = [edge["cursor"] for edge in path["edges"]] or [None]
        assert tree.names(path["nodes"]) == names, arguments
        assert [edge["node"] for edge in path["edges"]] == path["nodes"]
        assert path["pageInfo"] == {
            "startCursor": ends[0],
            "endCursor": ends[-1],
            "hasPreviousPage": more_before,
            "hasNextPage": more_after,
        }, arguments


async def test_a_path_to_what_is_no_message_of_the_conversation_is_empty(
    ada: FrontEnd, bob: FrontEnd, tree: Tree
) -> None:
    elsewhere, theirs = await ada.said(script(words=1)), await bob.said(script(words=1))
    empty = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}
    for leaf in (elsewhere["reply"]["id"], theirs["reply"]["id"], UNKNOWN["Message"], *MALFORMED):
        found = await ada.ask(PATH, id=tree.conversation, leaf=leaf)
        assert found == {"conversation": {"path": {"nodes": [], "edges": [], "pageInfo": empty}}}


async def test_an_empty_conversation_has_an_empty_path_and_no_leaf(ada: FrontEnd) -> None:
    id = (await ada.create())["conversation"]["id"]
    query = "query($id: ID!) {conversation(id: $id) {activeLeaf {id} path {nodes {id}} messages {nodes {id}} leaves {nodes {id}}}}"
    nothing: dict[str, list[str]] = {"nodes": []}
    assert (await ada.ask(query, id=id))["conversation"] == {
        "activeLeaf": None,
        "path": nothing,
        "messages": nothing,
        "leaves": nothing,
    }


async def test_messages_come_in_creation_order_page_by_page(ada: FrontEnd, tree: Tree) -> None:
    seen, after = list[str](), None
    for more in (True, True, False):
        page = (await ada.ask(MESSAGES, id=tree.conversation, first=3, after=after))["conversation"]["messages"]
        seen += tree.names(page["nodes"])
        after = page["pageInfo"]["endCursor"]
        assert page["pageInfo"]["hasNextPage"] is more
    assert seen == ["q0", "a0", "q1", "a1", "q2", "a2", "q3", "a3"]


async def test_messages_are_filtered_by_role_status_and_time(ada: FrontEnd, tree: Tree) -> None:
    async def found(**filter: object) -> list[str]:
        page = await ada.ask(MESSAGES, id=tree.conversation, filter=filter)
        return tree.names(page["conversation"]["messages"]["nodes"])

    everything = (await ada.ask(MESSAGES, id=tree.conversation))["conversation"]["messages"]["nodes"]
    third = everything[4]["receivedAt"]
    assert await found(roles=["USER"]) == ["q0", "q1", "q2", "q3"]
    assert await found(roles=["ASSISTANT"], statuses=["COMPLETE"]) == ["a0", "a1", "a2", "a3"]
    assert await found(roles=["SYSTEM"]) == []
    assert await found(statuses=["STREAMING", "PENDING"]) == []
    assert await found(roles=["USER"], receivedBefore=third) == ["q0", "q1"]
    assert await found(roles=["USER"], receivedAfter=third) == ["q2", "q3"]  # milliseconds are cut, rows keep micros
    assert await found(roles=None, statuses=None, receivedAfter=None) == tree.names(everything)


async def test_a_reply_that_is_being_written_is_found_as_streaming(ada: FrontEnd, tree: Tree) -> None:
    running = await ada.send(script(fault="hang_first"), conversation=tree.conversation)
    found = await ada.ask(MESSAGES, id=tree.conversation, filter={"statuses": ["STREAMING"]})
    assert [message["id"] for message in found["conversation"]["messages"]["nodes"]] == [running["reply"]["id"]]


async def test_leaves_come_latest_first_page_by_page(ada: FrontEnd, tree: Tree) -> None:
    page = (await ada.ask(LEAVES, id=tree.conversation, first=2))["conversation"]["leaves"]
    assert tree.names(page["nodes"]) == ["a3", "a2"]
    assert page["pageInfo"]["hasNextPage"] is True
    rest = await ada.ask(LEAVES, id=tree.conversation, first=2, after=page["pageInfo"]["endCursor"])
    assert tree.names(rest["conversation"]["leaves"]["nodes"]) == ["a1"]
    assert rest["conversation"]["leaves"]["pageInfo"]["hasNextPage"] is False


async def test_pages_and_cursors_that_mean_nothing_are_refused(ada: FrontEnd, tree: Tree) -> None:
    foreign = (await ada.said(script(words=1)))["reply"]["id"]
    for arguments in (
        {"first": 0},
        {"first": 101},
        {"last": 0},
        {"first": 1, "last": 1},
        {"after": "?"},
        {"after": "eA"},
    ):
        assert await ada.refused(PATH, id=tree.conversation, **arguments) == ["BAD_PAGE"], arguments
    for arguments in ({"first": -1}, {"first": 101}, {"after": "?"}, {"after": foreign}):
        assert await ada.refused(MESSAGES, id=tree.conversation, **arguments) == ["BAD_PAGE"], arguments
        assert await ada.refused(LEAVES, id=tree.conversation, **arguments) == ["BAD_PAGE"], arguments
        assert set(await ada.refused(FAMILY, id=tree.id["a0"], **arguments)) == {"BAD_PAGE"}, arguments


async def test_an_excerpt_is_one_line_and_splits_no_pair(ada: FrontEnd) -> None:
    id = (await ada.send("  a\n\tb 😀😀" + "x" * 600))["userMessage"]["id"]
    query = "query($id: ID!) {message(id: $id) {one: excerpt(length: 1) five: excerpt(length: 5) most: excerpt(length: 500)}}"
    excerpts = (await ada.ask(query, id=id))["message"]
    assert excerpts == {"one": "a", "five": "a b ", "most": "a b 😀😀" + "x" * 492}


async def test_an_excerpt_has_a_length_by_default_and_a_longest(ada: FrontEnd) -> None:
    id = (await ada.send("x" * 600))["userMessage"]["id"]
    assert (await ada.ask("query($id: ID!) {message(id: $id) {excerpt}}", id=id))["message"]["excerpt"] == "x" * 140
    query = "query($id: ID!, $length: Int!) {message(id: $id) {excerpt(length: $length)}}"
    for length in (0, 501):
        assert await ada.refused(query, id=id, length=length) == ["BAD_PAGE"]


async def cursors_of(ada: FrontEnd, tree: Tree) -> dict[str, str]:
    query = "query($id: ID!) {conversation(id: $id) {messages {edges {cursor node {id}}}}}"
    edges = (await ada.ask(query, id=tree.conversation))["conversation"]["messages"]["edges"]
    return {tree.name[edge["node"]["id"]]: edge["cursor"] for edge in edges}


def named(tree: Tree, message: dict[str, str] | None) -> str | None:
    return tree.name[message["id"]] if message else None
