"""What a document may cost is far more than any that we show, and any that a compiler makes of the whole contract."""

from collections.abc import Iterator

import pytest
from graphql import OperationDefinitionNode, build_schema, parse

import schema
from server.graphql import TransportLimits
from server.graphql.cost import weigh
from tests.everything import operations
from tests.readme import ROOT, blocks

CONTRACT = build_schema(schema.printed())
MOST = TransportLimits().cost


def shown() -> Iterator[str]:
    yield from blocks("graphql")
    yield from (file.read_text() for file in sorted((ROOT / "server/static/graphiql/src/tabs").glob("*.graphql")))


def cost(document: str) -> int:
    definitions = parse(document).definitions
    return max(weigh(CONTRACT, each, {}, {}).cost for each in definitions if isinstance(each, OperationDefinitionNode))


@pytest.mark.parametrize("document", list(shown()))
def test_what_we_show_is_far_from_the_ceiling(document: str) -> None:
    assert cost(document) < MOST / 4


@pytest.mark.parametrize("document", list(operations(CONTRACT, "everything")))
def test_all_that_is_near_a_root_field_is_let_through(document: str) -> None:
    assert cost(document) < MOST * 2 / 3


def test_a_rich_page_of_a_chat_is_far_from_it_too() -> None:
    """A sidebar of 50 conversations, and the last 100 messages of one with everything that a bubble shows."""
    bubble = """id role status text depth siblingIndex siblingCount childCount sentAt receivedAt
        generation { id status finishReason usage { inputTokens outputTokens cost } model { key displayName } }"""
    page = f"""
    query Page($conversation: ID!) {{
      viewer {{
        user {{ id displayName }} quotas {{ id metric used remaining resetsAt }}
        conversations(first: 50) {{ edges {{ cursor node {{ id title state updatedAt messageCount tags }} }} }}
      }}
      conversation(id: $conversation) {{ id path(last: 100) {{ nodes {{ {bubble} }} pageInfo {{ hasPreviousPage }} }} }}
    }}"""
    assert cost(page) < MOST / 4
