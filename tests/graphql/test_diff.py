"""Two branches compared, and the runs of a conversation and of a reply."""

import pytest

from tests.graphql.documents import DELETE
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.ids import MALFORMED, UNKNOWN

HANGS = script(words=9, after=3, fault="hang_between")

DIFF = """
query($id: ID!, $a: ID!, $b: ID!, $first: Int, $after: String) {
  conversation(id: $id) {
    diff(a: $a, b: $b) {
      commonAncestor {id}
      onlyA(first: $first, after: $after) {nodes {id} pageInfo {hasNextPage hasPreviousPage endCursor}}
      onlyB {nodes {id}}
    }
  }
}
"""
RUNS = """
query($id: ID!, $statuses: [GenerationStatus!], $triggers: [GenerationTrigger!], $first: Int, $after: String) {
  conversation(id: $id) {
    generations(statuses: $statuses, triggers: $triggers, first: $first, after: $after) {
      nodes {id} pageInfo {hasNextPage hasPreviousPage endCursor}
    }
  }
}
"""
OF_REPLY = """
query($id: ID!, $first: Int, $after: String) {
  message(id: $id) {generations(first: $first, after: $after) {nodes {id} pageInfo {endCursor hasNextPage}}}
}
"""


@pytest.fixture
async def tree(ada: FrontEnd) -> dict[str, str]:
    """q0 - a0 - q1 - a1, with q2 - a2 below a0, and another root r - s."""
    first = await ada.said("One")
    below = {**here(first), "parent": first["reply"]["id"]}
    one, two = await ada.said("Two", **below), await ada.said("Three", **below)
    root = await ada.edit(first["userMessage"]["id"], "Four")
    await ada.followed(root["generation"]["id"])
    ids = {"conversation": first["conversation"]["id"]}
    for names, sent in (("q0 a0", first), ("q1 a1", one), ("q2 a2", two), ("r s", root)):
        said, reply = names.split()
        ids |= {said: sent["userMessage"]["id"], reply: sent["reply"]["id"]}
    return ids


# a, b, the common ancestor, what only a's path has, what only b's has
DIFFS: list[tuple[str, str, str | None, str, str]] = [
    ("a1", "a2", "a0", "q1 a1", "q2 a2"),
    ("a2", "a1", "a0", "q2 a2", "q1 a1"),
    ("q1", "a2", "a0", "q1", "q2 a2"),
    ("a1", "a1", "a1", "", ""),
    ("q0", "a1", "q0", "", "a0 q1 a1"),
    ("a1", "a0", "a0", "q1 a1", ""),
    ("a1", "s", None, "q0 a0 q1 a1", "r s"),
    ("r", "q0", None, "r", "q0"),
]


@pytest.mark.parametrize(("a", "b", "ancestor", "only_a", "only_b"), DIFFS)
async def test_two_paths_part_below_their_last_common_message(
    ada: FrontEnd, tree: dict[str, str], a: str, b: str, ancestor: str | None, only_a: str, only_b: str
) -> None:
    names = {id: name for name, id in tree.items()}
    found = (await ada.ask(DIFF, id=tree["conversation"], a=tree[a], b=tree[b]))["conversation"]["diff"]
    assert (names[found["commonAncestor"]["id"]] if found["commonAncestor"] else None) == ancestor
    assert [names[node["id"]] for node in found["onlyA"]["nodes"]] == only_a.split()
    assert [names[node["id"]] for node in found["onlyB"]["nodes"]] == only_b.split()


async def test_a_side_is_paged_and_no_cursor_leads_above_it(ada: FrontEnd, tree: dict[str, str]) -> None:
    asked = {"id": tree["conversation"], "a": tree["a1"], "b": tree["a2"], "first": 1}
    page = (await ada.ask(DIFF, **asked))["conversation"]["diff"]["onlyA"]
    assert page["nodes"] == [{"id": tree["q1"]}]
    assert (page["pageInfo"]["hasNextPage"], page["pageInfo"]["hasPreviousPage"]) == (True, False)
    page = (await ada.ask(DIFF, **asked, after=page["pageInfo"]["endCursor"]))["conversation"]["diff"]["onlyA"]
    assert (page["nodes"], page["pageInfo"]["hasNextPage"]) == ([{"id": tree["a1"]}], False)
    query = "query($id: ID!) {conversation(id: $id) {path(first: 1) {pageInfo {endCursor}}}}"
    root = (await ada.ask(query, id=tree["conversation"]))["conversation"]["path"]["pageInfo"]["endCursor"]
    page = (await ada.ask(DIFF, **asked, after=root))["conversation"]["diff"]["onlyA"]
    assert page["nodes"] == [{"id": tree["q1"]}]


async def test_what_is_no_message_of_the_conversation_has_no_diff(
    ada: FrontEnd, bob: FrontEnd, tree: dict[str, str]
) -> None:
    elsewhere, theirs = await ada.said("One"), await bob.said("One")
    for other in (elsewhere["reply"]["id"], theirs["reply"]["id"], UNKNOWN["Message"], *MALFORMED):
        for a, b in ((tree["a1"], other), (other, tree["a1"])):
            assert (await ada.ask(DIFF, id=tree["conversation"], a=a, b=b))["conversation"] == {"diff": None}
    both = {"a": elsewhere["reply"]["id"], "b": elsewhere["userMessage"]["id"]}
    assert (await ada.ask(DIFF, id=tree["conversation"], **both))["conversation"] == {"diff": None}


async def test_the_runs_of_a_conversation_come_latest_first_page_by_page_and_filtered(ada: FrontEnd) -> None:
    first = await ada.said(script(words=1, finish="length"))
    edited = await ada.edit(first["userMessage"]["id"], "Two")
    again = await ada.regenerate(edited["reply"]["id"])
    for started in (edited, again):
        await ada.followed(started["generation"]["id"])
    on = await ada.go_on(first["reply"]["id"])
    await ada.followed(on["generation"]["id"])
    running = await ada.send(HANGS, **here(first), parent=again["reply"]["id"])
    runs = [started["generation"]["id"] for started in (running, on, again, edited, first)]

    async def found(**asked: object) -> list[str]:
        page = (await ada.ask(RUNS, id=first["conversation"]["id"], **asked))["conversation"]["generations"]
        return [node["id"] for node in page["nodes"]]

    assert await found() == await found(statuses=None, triggers=[]) == runs
    assert await found(statuses=["QUEUED", "RUNNING"]) == runs[:1]
    assert await found(triggers=["EDIT", "REGENERATE"]) == runs[2:4]
    assert await found(statuses=["COMPLETED"], triggers=["SEND"]) == runs[4:]
    seen, after = list[str](), None
    for more in (True, True, False):
        page = await ada.ask(RUNS, id=first["conversation"]["id"], first=2, after=after)
        page = page["conversation"]["generations"]
        seen += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        assert page["pageInfo"]["hasNextPage"] is more
    assert seen == runs
    reply = (await ada.ask(OF_REPLY, id=first["reply"]["id"], first=1))["message"]["generations"]
    assert (reply["nodes"], reply["pageInfo"]["hasNextPage"]) == ([{"id": runs[4]}], True)
    rest = await ada.ask(OF_REPLY, id=first["reply"]["id"], after=reply["pageInfo"]["endCursor"])
    assert rest["message"]["generations"]["nodes"] == [{"id": runs[1]}]
    assert (await ada.ask(OF_REPLY, id=first["userMessage"]["id"]))["message"]["generations"]["nodes"] == []
    for after in ("?", "eA", page["pageInfo"]["endCursor"][:-8]):
        assert await ada.refused(RUNS, id=first["conversation"]["id"], after=after) == ["BAD_PAGE"]
    await ada.stop(running["generation"]["id"])


async def test_the_runs_of_a_page_of_replies_are_one_statement(ada: FrontEnd, tree: dict[str, str]) -> None:
    query = "query($id: ID!, $last: Int) {conversation(id: $id) {messages(first: $last) {nodes {generations(first: 2) {nodes {id}}}}}}"
    _, few = await ada.counted(query, id=tree["conversation"], last=1)
    _, many = await ada.counted(query, id=tree["conversation"], last=8)
    assert len(few) == len(many) == 3


async def test_a_diff_takes_the_statements_of_its_parts(ada: FrontEnd, tree: dict[str, str]) -> None:
    _, statements = await ada.counted(DIFF, id=tree["conversation"], a=tree["a1"], b=tree["a2"])
    # The conversation, both ends, where they part, the message there, and what is below it on either side.
    assert len(statements) == 6


async def test_the_runs_of_a_deleted_conversation_are_gone(ada: FrontEnd) -> None:
    sent = await ada.said("One")
    await ada.ask(DELETE, **here(sent))
    assert (await ada.ask(OF_REPLY, id=sent["reply"]["id"]))["message"] is None
