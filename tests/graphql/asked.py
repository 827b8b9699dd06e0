"""What the model server was asked."""

from tests.model_server import ModelServer


def turns(model_server: ModelServer, request: int = -1) -> list[dict[str, str]]:
    found = model_server.seen[request].body["messages"]
    assert isinstance(found, list)
    return found


def told(model_server: ModelServer, request: int = -1) -> list[str]:
    """Each turn's text."""
    return [turn["content"] for turn in turns(model_server, request)]
