from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from domain.model import Model, ModelCapability, ModelKey
from providers.openai import ServerConfig
from server.models_file import Catalogue, read_catalogue
from server.settings import BadSettings

SERVER = '[[servers]]\nname = "s"\nbase_url = "http://127.0.0.1:8080/v1"\n'
MODEL = (
    '[[models]]\nkey = "m"\nserver = "s"\ncontext_window = 8192\n'
    "input_price_per_million = 0.1\noutput_price_per_million = 2\n"
)


def read(tmp_path: Path, text: str, **environ: str) -> Catalogue:
    file = tmp_path / "models.toml"
    file.write_text(text)
    return read_catalogue(file, environ)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(BadSettings) as refused:
        read(tmp_path, text)
    assert all(str(tmp_path / "models.toml") in problem for problem in refused.value.problems)
    return [problem.split(": ", 1)[1] for problem in refused.value.problems]


def test_the_least_that_a_file_needs(tmp_path: Path) -> None:
    assert read(tmp_path, SERVER + MODEL) == Catalogue(
        models=(
            Model(
                ModelKey("m"),
                provider="s",
                name_at_provider="m",
                display_name="m",
                context_window=8192,
                max_output_tokens=None,
                capabilities=frozenset({ModelCapability.STREAMING}),
                input_price_per_million=Decimal("0.1"),
                output_price_per_million=Decimal(2),
            ),
        ),
        servers=(ServerConfig("s", "http://127.0.0.1:8080/v1"),),
    )


def test_a_server_takes_its_timeouts_and_its_key_from_the_environment(tmp_path: Path) -> None:
    more = 'api_key_env = "KEY"\nconnect_timeout_seconds = 1.5\nfirst_token_timeout_seconds = 90\nbetween_tokens_timeout_seconds = 7\n'
    (server,) = read(tmp_path, SERVER + more + MODEL, KEY="sk-1").servers
    assert server.api_key == "sk-1"
    assert (server.connect_timeout, server.first_token_timeout, server.between_tokens_timeout) == (
        timedelta(seconds=1.5),
        timedelta(seconds=90),
        timedelta(seconds=7),
    )


def test_the_example_is_valid() -> None:
    catalogue = read_catalogue(Path(__file__).parents[2] / "docker" / "models.toml", {})
    assert [model.key for model in catalogue.models] == ["smollm2"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SERVER + 'api_key = "sk"\n' + MODEL, ["[[servers]] 1 (s): api_key: there is no such key"]),
        (SERVER + MODEL + "price = 1\n", ["[[models]] 1 (m): price: there is no such key"]),
        ("other = 1\n" + SERVER + MODEL, ["[[other]]: there is no such key"]),
        (SERVER, ["[[models]]: is missing"]),
        ("servers = []\n" + MODEL, ["[[servers]]: at least one is needed"]),
        (
            SERVER.replace("[[", "[").replace("]]", "]") + MODEL,
            ["[[servers]]: must be a list; a list of tables is written with two brackets"],
        ),
        (
            SERVER + MODEL + "max_output_tokens = 8192\n",
            ["[[models]] 1 (m): max_output_tokens must be smaller than context_window: the question needs room too"],
        ),
        (SERVER + MODEL + MODEL, ["[[models]]: key: 'm' is there twice"]),
        (SERVER + SERVER + MODEL, ["[[servers]]: name: 's' is there twice"]),
        (SERVER + MODEL.replace('"s"', '"t"'), ["[[models]] 1 (m): server: there is no server 't', only s"]),
        (SERVER + MODEL + "retired = true\n", ["[[models]]: retired: at least one model must not be"]),
        (
            SERVER + 'api_key_env = "UNSET"\n' + MODEL,
            ["[[servers]] 1 (s): api_key_env: the environment variable UNSET is not set"],
        ),
    ],
)
def test_what_is_wrong_is_told_by_table_and_key(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert problems(tmp_path, text) == expected


def test_a_model_names_who_answers_in_its_place_and_how_many_it_answers_at_once(tmp_path: Path) -> None:
    other = MODEL.replace('"m"', '"n"')
    first, second = read(
        tmp_path, SERVER + MODEL + 'fallbacks = ["n"]\nmax_concurrency = 2\n' + other + 'fallbacks = ["m"]\n'
    ).models
    assert (first.fallbacks, first.max_concurrency) == (("n",), 2)
    assert (second.fallbacks, second.max_concurrency) == (("m",), None)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('fallbacks = ["x"]', "fallbacks: there is no model 'x', only m, n"),
        ('fallbacks = ["m"]', "fallbacks: 'm' is the model itself, which has been asked by then"),
        ('fallbacks = ["n", "n"]', "fallbacks: 'n' is there twice"),
        ('fallbacks = ["n", "n", "n", "n", "n", "n"]', "fallbacks: tuple should have at most 5 items after validation"),
        ('fallbacks = "n"', "fallbacks: must be a list"),
        ("max_concurrency = 0", "max_concurrency: input should be greater than or equal to 1"),
    ],
)
def test_fallbacks_that_cannot_be_asked_are_refused(tmp_path: Path, line: str, problem: str) -> None:
    (told,) = problems(tmp_path, SERVER + MODEL + line + "\n" + MODEL.replace('"m"', '"n"'))
    assert told.startswith(f"[[models]] 1 (m): {problem}")


@pytest.mark.parametrize("price", ["-0.01", "nan", "-nan", "inf", "10001", "1e999", '"free"', "true"])
def test_a_price_that_cannot_be_meant_is_refused(tmp_path: Path, price: str) -> None:
    (problem,) = problems(tmp_path, SERVER + MODEL.replace("= 0.1", f"= {price}"))
    assert problem.startswith("[[models]] 1 (m): input_price_per_million: must be ")


def test_a_price_is_exact(tmp_path: Path) -> None:
    (model,) = read(tmp_path, SERVER + MODEL.replace("= 0.1", "= 0.070000000000000001")).models
    assert model.input_price_per_million == Decimal("0.070000000000000001")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8080",
        "ftp://h/v1",
        "http://",
        "http://u:p@h/v1",
        "http://h/v1?a=1",
        "http://h:x/v1",
        "http://h/v1/chat/completions",
    ],
)
def test_a_base_url_that_no_server_can_have_is_refused(tmp_path: Path, url: str) -> None:
    (problem,) = problems(tmp_path, SERVER.replace("http://127.0.0.1:8080/v1", url) + MODEL)
    assert problem.startswith("[[servers]] 1 (s): base_url: must be the address before /chat/completions")


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = SERVER.replace("http", "ftp") + MODEL.replace("8192", '"8192"').replace("= 2", "= -2")
    assert [problem.split(": ")[1] for problem in problems(tmp_path, text)] == [
        *("base_url", "context_window", "output_price_per_million")
    ]


def test_a_file_that_is_no_toml_is_refused_with_the_line(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, SERVER + "name =\n")
    assert problem.startswith("is no TOML: ")
    assert "line 4" in problem
