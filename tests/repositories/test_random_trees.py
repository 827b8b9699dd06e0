"""Whatever the tree, the SQL says what the naive one says."""

from collections.abc import Sequence
from random import Random

import pytest

from domain.conversation.entity import Conversation
from domain.message import Family, Message, MessageFilter
from domain.page import Page, PageArgs
from tests.repositories.naive import NaiveTree, Node, page_of_list, page_of_path
from tests.repositories.story import ALL, NOW, Story, draft

SOME = pytest.mark.parametrize("trees", [25, pytest.param(1000, marks=pytest.mark.prove)])


@SOME
async def test_a_random_tree_reads_as_the_naive_one(story: Story, trees: int) -> None:
    for seed in range(trees):
        chance = Random(seed)
        conversation, tree = await grown(story, chance, size=chance.randint(1, 40))
        await check_places(story, conversation, tree)
        await check_families(story, conversation, tree)
        await check_leaves(story, conversation, tree)
        for _ in range(10):
            await check_a_path(story, tree, chance)
            await check_a_list(story, conversation, tree, chance)


async def grown(story: Story, chance: Random, size: int) -> tuple[Conversation, NaiveTree]:
    conversation, tree = await story.conversation(), NaiveTree()
    bushy = chance.random()
    async with story.conversations.writing() as writing:
        sql = await writing.lock(story.owner, conversation.id)
        assert sql is not None
        while len(tree.nodes) < size:
            parent = parent_in(tree, chance, bushy)
            drafts = [draft(f"{len(tree.nodes)}") for _ in range(chance.choice([1, 1, 2, 3]))]
            for message in (await sql.grow(drafts, parent.message if parent else None)).messages:
                parent = tree.add(message, parent)
            assert parent is not None
            tree.activate(parent)
            if chance.random() < 0.1:
                shown = chance.choice(tree.leaves)
                await sql.show(shown.message, NOW)
                tree.activate(shown)
        assert (sql.conversation.message_count, sql.conversation.root_count) == (len(tree.nodes), len(tree.roots))
    return conversation, tree


def parent_in(tree: NaiveTree, chance: Random, bushy: float) -> Node | None:
    if not tree.nodes or chance.random() < 0.03:
        return None
    return chance.choice(tree.nodes) if chance.random() < bushy else tree.nodes[-1]


async def check_places(story: Story, conversation: Conversation, tree: NaiveTree) -> None:
    found = await story.messages.messages(story.owner, [node.id for node in tree.nodes])
    assert len(found) == len(tree.nodes)
    for node in tree.nodes:
        message, siblings = found[node.id], tree.family(node.parent)
        assert message.parent_id == (node.parent.id if node.parent else None)
        assert (message.depth, message.place.number) == (len(node.path) - 1, node.number)
        assert (message.sibling_index, message.child_count) == (siblings.index(node) + 1, len(node.children))
        assert message.place == node.message.place
    page = await story.messages.in_creation_order(story.owner, conversation.id, ALL, MessageFilter())
    assert ids(page) == [node.id for node in tree.nodes]


async def check_families(story: Story, conversation: Conversation, tree: NaiveTree) -> None:
    parents: list[Node | None] = [None, *tree.nodes]
    families = {Family(conversation.id, parent.id if parent else None): parent for parent in parents}
    pages = await story.messages.families(story.owner, list(families), ALL)
    sizes = await story.messages.family_sizes(story.owner, list(families))
    places = [(family, n) for family, parent in families.items() for n in range(len(tree.family(parent)) + 2)]
    found = await story.messages.siblings_at(story.owner, places)
    for family, parent in families.items():
        children = [node.id for node in tree.family(parent)]
        assert ids(pages[family]) == children
        assert sizes[family] == len(children)
        assert [found[family, n + 1].id for n in range(len(children))] == children
        assert (family, 0) not in found
        assert (family, len(children) + 1) not in found


async def check_leaves(story: Story, conversation: Conversation, tree: NaiveTree) -> None:
    page = await story.messages.leaves(story.owner, conversation.id, ALL)
    assert ids(page) == [leaf.id for leaf in tree.leaves]
    below = await story.messages.leaves_below(story.owner, [node.id for node in tree.nodes])
    assert {node: leaf.id for node, leaf in below.items()} == {node.id: node.leaf.id for node in tree.nodes}
    for node in tree.nodes[::7]:
        alone = await story.messages.leaves_below(story.owner, [node.id])
        assert alone[node.id].id == node.leaf.id


async def check_a_path(story: Story, tree: NaiveTree, chance: Random) -> None:
    leaf = chance.choice(tree.nodes)
    page, after, before = random_page(tree.nodes, chance)
    found = await story.messages.path(story.owner, leaf.message, page)
    assert ids(found) == [node.id for node in page_of_path(leaf, page, after, before)]
    skip, limit = chance.randint(0, 5), chance.randint(1, 10)
    above = await story.messages.ancestors(story.owner, leaf.id, skip=skip, limit=limit)
    assert [message.id for message in above] == [node.id for node in leaf.path[::-1][skip : skip + limit]]


async def check_a_list(story: Story, conversation: Conversation, tree: NaiveTree, chance: Random) -> None:
    page, after, before = random_page(tree.nodes, chance)
    found = await story.messages.in_creation_order(story.owner, conversation.id, page, MessageFilter())
    assert ids(found) == [node.id for node in page_of_list(tree.nodes, page, after, before)]
    page, after, before = random_page(tree.leaves, chance)
    found = await story.messages.leaves(story.owner, conversation.id, page)
    assert ids(found) == [node.id for node in page_of_list(tree.leaves, page, after, before)]
    parent = chance.choice([None, *(node for node in tree.nodes if node.children)])
    page, after, before = random_page(tree.family(parent), chance)
    family = Family(conversation.id, parent.id if parent else None)
    found = (await story.messages.families(story.owner, [family], page))[family]
    assert ids(found) == [node.id for node in page_of_list(tree.family(parent), page, after, before)]


def random_page(nodes: Sequence[Node], chance: Random) -> tuple[PageArgs, Node | None, Node | None]:
    after, before = (chance.choice([None, None, chance.choice(nodes)]) for _ in range(2))
    page = PageArgs(
        chance.randint(1, 8),
        backward=chance.random() < 0.5,
        after=str(after.id) if after else None,
        before=str(before.id) if before else None,
    )
    return page, after, before


def ids(page: Page[Message]) -> list[object]:
    return [message.id for message in page.nodes]
