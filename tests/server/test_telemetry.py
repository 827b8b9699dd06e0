import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from server.graphql.failures import Failures
from server.telemetry import LONGEST_LINE, configure_logging


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_has_known_fields_only(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(production=True, level="info")
    structlog.get_logger("gus").info("run ended", model="m", tokens=3, text="Dear diary", prompt="What is a tree?")
    (line,) = lines(capsys)
    assert {name: line[name] for name in line if name != "timestamp"} == {
        "event": "run ended", "level": "info", "logger": "gus", "model": "m", "tokens": 3
    }  # fmt: skip


def test_a_line_is_short_and_json_whatever_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(production=True, level="info")
    fields = dict.fromkeys(("detail", "reason", "path", "operation", "code", "model"), "€\x00" * 5000)
    structlog.get_logger("gus").info("x" * 100_000, **fields)
    written = capsys.readouterr().err
    assert len(written.encode()) <= LONGEST_LINE + 1
    assert json.loads(written)["level"] == "info"


def test_an_exception_is_told_by_its_places_and_not_by_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(production=True, level="info")
    try:
        raise KeyError("Dear diary") from ValueError("Dear diary")
    except KeyError:
        logging.getLogger("uvicorn.error").exception("failed")
    (line,) = lines(capsys)
    assert "Dear diary" not in str(line)
    assert str(line["exception"]).startswith("KeyError (from builtins.ValueError) <- server/test_telemetry.py:")


def test_secrets_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(production=True, level="info")
    words = "Authorization: Bearer abc.def for gus_0123456789abcdef at postgresql://gus:hunter22@db/gus"
    structlog.get_logger("gus").warning(words)
    (line,) = lines(capsys)
    assert line["event"] == "Authorization: Bearer *** for gus_*** at postgresql://***@db/gus"


def test_development_reads_well_and_keeps_the_same_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(production=False, level="info")
    structlog.get_logger("gus").info("run ended", model="m", text="Dear diary")
    written = capsys.readouterr().err
    assert "run ended" in written
    assert "model=m" in written
    assert "Dear diary" not in written


def test_uvicorn_tells_its_errors_only(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(production=True, level="info")
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.error").error("broken")
    assert [line["event"] for line in lines(capsys)] == ["broken"]


def test_requests_to_model_servers_are_not_told_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(production=False, level="info")
    logging.getLogger("httpx").info("HTTP Request: POST http://127.0.0.1:8080/v1/chat/completions")
    assert capsys.readouterr().err == ""


def test_an_error_id_finds_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(production=True, level="info")
    payload = Failures().exception_payload(KeyError("secret words"))
    (line,) = lines(capsys)
    assert line["error_id"] == payload["extensions"]["errorId"]
    assert (line["exception_type"], "trace" in line, "secret words" in str(line)) == ("KeyError", True, False)
