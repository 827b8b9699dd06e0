"""A loader behind every edge: what a page costs does not depend on its size."""

import pytest

from tests.graphql.front_end import FrontEnd, script

PAGE = """
query($id: ID!, $last: Int!) {
  conversation(id: $id) {
    path(last: $last) {
      nodes {
        id text childCount siblingIndex depth
        parent { id }
        children(first: 5) { nodes { id } }
        siblings(first: 5) { nodes { id } }
        siblingCount
        previousSibling { id text }
        nextSibling { id text }
        leaf { id }
        model { key }
        generation { id status usage { outputTokens source } cost conversation { id } reply { id text } }
        conversation { id title activeLeaf { id } }
      }
    }
  }
}
"""

# The conversation, the active leaf, the path; then for all messages at once their parents, the families
# of children and siblings together, the sizes of families, siblings by place, generations, leaves. Replies and
# conversations were loaded before.
STATEMENTS = 9


@pytest.fixture
async def long(ada: FrontEnd) -> str:
    """A path of 50 messages with siblings at both of its ends."""
    sent = await ada.said(script(words=1))
    here = {"conversation": sent["conversation"]["id"]}
    for turn in range(1, 25):
        if turn in (1, 23, 24):
            await ada.said(script(words=1), **here, parent=sent["reply"]["id"])
        sent = await ada.said(script(words=1), **here, parent=sent["reply"]["id"])
    return str(here["conversation"])


async def test_a_page_of_50_takes_the_statements_of_a_page_of_5(ada: FrontEnd, long: str) -> None:
    few, statements_of_few = await ada.counted(PAGE, id=long, last=5)
    many, statements_of_many = await ada.counted(PAGE, id=long, last=50)
    assert len(few["conversation"]["path"]["nodes"]) == 5
    assert len(many["conversation"]["path"]["nodes"]) == 50
    assert len(statements_of_few) == len(statements_of_many) == STATEMENTS
