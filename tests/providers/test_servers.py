import pytest

from providers import ConfiguredServers
from providers.openai import ServerConfig
from tests.model_server import ModelServer
from tests.providers.asking import ask, scripted


async def test_every_configured_server_answers_under_its_name() -> None:
    async with ModelServer() as first, ModelServer() as second:
        configs = [ServerConfig("first", first.base_url), ServerConfig("second", second.base_url)]
        async with ConfiguredServers(configs) as servers:
            answered = [await ask(servers[name], scripted(words=1, tag=name)) for name in ("second", "first")]
    assert [one.text for one in answered] == ["w1-second", "w1-first"]


def test_a_name_that_is_not_configured_is_an_error() -> None:
    with pytest.raises(KeyError):
        ConfiguredServers([])["nobody"]
