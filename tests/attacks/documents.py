"""Attacks by what is posted: documents, variables, bodies."""

import json

from tests.attacks.attacker import Attacker


def doubling(times: int) -> str:
    fragments = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(times))
    return f"{{ ...F0 }} {fragments} fragment F{times} on Query {{ __typename }}"


def aliases(count: int) -> str:
    return "{" + " ".join(f"a{n}: __typename" for n in range(count)) + "}"


async def doubling_fragments(attacker: Attacker, times: int) -> None:
    await attacker.post(doubling(20), times)


async def deep(attacker: Attacker, times: int) -> None:
    await attacker.post("{ viewer " * 400 + "{ id }" + "}" * 400, times)


async def many_aliases(attacker: Attacker, times: int) -> None:
    """Above the size of a document, and just below it."""
    await attacker.post(aliases(10_000), times // 2)
    await attacker.post(aliases(3_000), times - times // 2)


async def many_operations(attacker: Attacker, times: int) -> None:
    await attacker.post(" ".join(f"query Q{n} {{ __typename }}" for n in range(5_000)), times // 2)
    await attacker.post(" ".join(f"query Q{n} {{viewer{{id}}}}" for n in range(1_500)), times - times // 2)


async def many_tokens(attacker: Attacker, times: int) -> None:
    await attacker.post("{" + "a " * 520_000 + "}", times // 2)
    await attacker.post("{" + "a " * 500_000 + "}", times - times // 2)


async def long_comment(attacker: Attacker, times: int) -> None:
    await attacker.post("#" + "x" * 9_000_000 + "\n{ __typename }", times)


async def deep_variables(attacker: Attacker, times: int) -> None:
    nested = "[" * 100_000 + "]" * 100_000
    await attacker.post("query($x: ID!) { node(id: $x) { id } }", times, f'{{"x": {nested}}}')


async def cyclic(attacker: Attacker, times: int) -> None:
    inner = "nodes { text } "
    for _ in range(4):
        inner = f"nodes {{ conversation {{ path(first: 100) {{ {inner} }} }} }}"
    await attacker.post(_about_the_conversation(attacker, f"path(first: 100) {{ {inner} }}"), times)


async def dearest(attacker: Attacker, times: int) -> None:
    """As much as the cost of a document allows, of what a message has itself, and of what is read for it."""
    own = "nodes { id text status role depth siblingIndex sentAt receivedAt }"
    others = "nodes { id text status role depth siblingIndex parent { id } }"
    for inner, pages in ((own, 33), (others, 29)):
        asked = " ".join(f"p{n}: path(first: 100) {{ {inner} }}" for n in range(pages))
        await attacker.post(_about_the_conversation(attacker, asked), times // 2)


async def bad_bodies(attacker: Attacker, times: int) -> None:
    for body in (b"null", b"5", b'"x"', b"[]", b"\xff\xfe\x80", b'{"query": "\xc3\x28"}', b"1" * 5_000, b"[" * 100_000):
        await attacker.post_raw(body, times // 8)


def _about_the_conversation(attacker: Attacker, selection: str) -> str:
    return f"{{ conversation(id: {json.dumps(attacker.stage.conversation)}) {{ {selection} }} }}"
