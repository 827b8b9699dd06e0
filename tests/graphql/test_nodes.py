"""node and nodes."""

from tests.graphql.front_end import FrontEnd, script
from tests.graphql.ids import MALFORMED, UNKNOWN

NODES = "query($ids: [ID!]!) {nodes(ids: $ids) {__typename id}}"
NODE = "query($id: ID!) {node(id: $id) {__typename id}}"
KINDS = ("Viewer", "User", "ApiKey", "Conversation", "Message", "Generation", "Model", "Plan")


async def one_of_each(front_end: FrontEnd) -> dict[str, str]:
    sent = await front_end.said(script(words=1))
    viewer = (await front_end.ask("{viewer {id user {id plan {id}} apiKeys {id} defaultModel {id}}}"))["viewer"]
    return {
        "Viewer": viewer["id"],
        "User": viewer["user"]["id"],
        "ApiKey": viewer["apiKeys"][0]["id"],
        "Conversation": sent["conversation"]["id"],
        "Message": sent["reply"]["id"],
        "Generation": sent["generation"]["id"],
        "Model": viewer["defaultModel"]["id"],
        "Plan": viewer["user"]["plan"]["id"],
    }


async def test_every_id_is_found_again_as_what_it_is(ada: FrontEnd) -> None:
    ids = await one_of_each(ada)
    assert tuple(ids) == KINDS
    expected = [{"__typename": kind, "id": id} for kind, id in ids.items()]
    assert [(await ada.ask(NODE, id=id))["node"] for id in ids.values()] == expected
    assert (await ada.ask(NODES, ids=list(ids.values())))["nodes"] == expected


async def test_what_is_unknown_malformed_or_not_yours_is_null(ada: FrontEnd, bob: FrontEnd) -> None:
    theirs = await one_of_each(bob)
    for_all = {kind: theirs.pop(kind) for kind in ("Model", "Plan")}
    for id in (*theirs.values(), *UNKNOWN.values(), *MALFORMED):
        assert await ada.ask(NODE, id=id) == {"node": None}, id
    for kind, id in for_all.items():
        assert (await ada.ask(NODE, id=id))["node"] == {"__typename": kind, "id": id}


async def test_nodes_answers_in_order_with_null_for_what_is_not_there_and_twice_for_what_is_asked_twice(
    ada: FrontEnd, bob: FrontEnd
) -> None:
    mine, theirs = (await ada.said(script(words=1))), (await bob.said(script(words=1)))
    reply, said = mine["reply"]["id"], mine["userMessage"]["id"]
    asked = [reply, theirs["reply"]["id"], said, "x", reply]
    found = (await ada.ask(NODES, ids=asked))["nodes"]
    assert [node and node["id"] for node in found] == [reply, None, said, None, reply]


async def test_nodes_takes_a_hundred_ids(ada: FrontEnd) -> None:
    assert (await ada.ask(NODES, ids=[]))["nodes"] == []
    assert (await ada.ask(NODES, ids=[UNKNOWN["Message"]] * 100))["nodes"] == [None] * 100
    assert await ada.refused(NODES, ids=[UNKNOWN["Message"]] * 101) == ["BAD_PAGE"]


async def test_one_statement_for_each_type_whatever_the_number_of_ids(ada: FrontEnd) -> None:
    for _ in range(2):
        sent = await ada.said(script(words=1))
    here = [sent["conversation"]["id"], sent["reply"]["id"], sent["userMessage"]["id"], sent["generation"]["id"]]
    keys = [key["id"] for key in (await ada.ask("{viewer {apiKeys {id}}}"))["viewer"]["apiKeys"]]
    nothing = [UNKNOWN[kind] for kind in ("Message", "Generation", "ApiKey")]
    _, statements = await ada.counted(NODES, ids=[*here, *keys, *nothing])
    assert len(statements) == 4


async def test_fields_by_id_know_their_own_kind_only(ada: FrontEnd, bob: FrontEnd) -> None:
    mine, theirs = await one_of_each(ada), await one_of_each(bob)
    for field in ("conversation", "message", "generation"):
        query = f"query($id: ID!) {{{field}(id: $id) {{id}}}}"
        own = mine[field.title()]
        assert await ada.ask(query, id=own) == {field: {"id": own}}
        for id in {*mine.values(), *theirs.values(), *UNKNOWN.values(), *MALFORMED} - {own}:
            assert await ada.ask(query, id=id) == {field: None}, id
