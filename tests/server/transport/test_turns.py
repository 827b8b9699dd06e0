"""Who keeps the process busy takes turns."""

import asyncio

from server.graphql.turns import LARGE_COST, Turns


async def test_documents_that_are_not_known_are_read_one_in_each_round() -> None:
    turns, rounds, read_in = Turns(), 0, list[int]()

    def count() -> None:
        nonlocal rounds
        rounds += 1
        if len(read_in) < 5:
            asyncio.get_running_loop().call_soon(count)

    async def read() -> None:
        await turns.to_read()
        read_in.append(rounds)

    count()
    await asyncio.gather(*(read() for _ in range(5)))
    assert len(set(read_in)) == 5


async def test_of_large_answers_there_is_one_at_a_time() -> None:
    turns, running, most = Turns(), 0, 0

    async def answer(cost: int) -> None:
        nonlocal running, most
        async with turns.to_answer(cost):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*(answer(LARGE_COST + 1) for _ in range(3)))
    assert most == 1
    await asyncio.gather(*(answer(LARGE_COST) for _ in range(3)))
    assert most == 3
