import asyncio

import httpx

from providers.request import body
from providers.tap import TappedTransport, tap_of
from tests.model_server import ModelServer, Seen
from tests.providers.asking import scripted

WORDS, A_WORD = 20, b'"content": "'


def has_ended(seen: Seen) -> bool:
    return seen.ended_at is not None


async def test_what_comes_while_it_is_shut_waits_in_the_kernel_and_comes_in_one_piece(
    model_server: ModelServer,
) -> None:
    request = body(scripted(words=WORDS, delay_ms=2, tag="x"))
    async with httpx.AsyncClient(transport=TappedTransport()) as client:
        url = f"{model_server.base_url}/chat/completions"
        async with client.stream("POST", url, content=request) as response:
            tap, chunks = tap_of(response), response.aiter_raw()
            before = (await anext(chunks)).count(A_WORD)
            tap.shut()
            await model_server.wait_for(has_ended)
            reading = asyncio.ensure_future(anext(chunks))
            await asyncio.sleep(0.02)
            assert not reading.done()
            tap.open()
            assert before < WORDS
            assert (await reading).count(A_WORD) == WORDS - before


async def test_shutting_it_at_the_end_of_a_body_stops_no_later_answer(model_server: ModelServer) -> None:
    request = body(scripted(words=1))
    async with httpx.AsyncClient(transport=TappedTransport()) as client:
        url = f"{model_server.base_url}/chat/completions"
        async with client.stream("POST", url, content=request) as response:
            await response.aread()
            tap_of(response).shut()
            async with asyncio.timeout(10):
                await client.post(url, content=request)
    assert len({seen.connection for seen in model_server.seen}) == 1
