"""What clients learn of a failure, and what the log does."""

import pytest
from structlog.testing import capture_logs

from tests.server.transport.toy import running


@pytest.mark.parametrize(
    ("how", "code"),
    [("page", "BAD_PAGE"), ("cursor", "BAD_VARIABLES"), ("id", "NOT_FOUND"), ("credential", "UNAUTHENTICATED")],
)
async def test_what_the_domain_says_no_with_has_a_code_and_no_log(how: str, code: str) -> None:
    async with running() as toy:
        with capture_logs() as logs:
            errors = await toy.errors(f'{{fails(how: "{how}")}}')
        assert (errors[0]["extensions"], errors[0]["path"], logs) == ({"code": code}, ["fails"], [])


@pytest.mark.parametrize(("how", "kind"), [("domain", "DomainError"), ("bug", "KeyError"), ("timeout", "TimeoutError")])
async def test_anything_else_is_masked_and_logged_once_without_what_was_asked(
    how: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as toy:
        with capture_logs() as logs:
            errors = await toy.errors(f'{{a: fails(how: "{how}") b: fails(how: "{how}")}}')
        error_ids = {error["extensions"]["errorId"] for error in errors}
        assert [error["message"] for error in errors] == ["Internal error. Quote errorId."] * 2
        assert [(entry["event"], entry["exception_type"], {entry["error_id"]}) for entry in logs] == [
            ("operation_failed", kind, error_ids)
        ]
        assert "toy_schema.py" in logs[0]["trace"]
        assert "sk-secret" not in str(logs) + caplog.text
        assert len(str(logs[0])) < 2_000


async def test_a_null_where_none_may_be_is_our_bug() -> None:
    async with running() as toy:
        with capture_logs() as logs:
            response = await toy.post("{impossible}")
        assert response.json()["errors"][0]["extensions"]["code"] == "INTERNAL"
        assert (response.json()["data"], len(logs)) == (None, 1)


async def test_a_list_that_fails_everywhere_is_one_line_in_the_log() -> None:
    async with running() as toy:
        with capture_logs() as logs:
            errors = await toy.errors("{items {nodes {broken}}}")
        assert (len(errors), len(logs)) == (1, 1)


@pytest.mark.parametrize("variables", [{}, {"n": None}, {"n": "x" * 100_000}, {"n": 10**4000}, {"n": 3e9}])
async def test_variables_that_do_not_fit_are_named(variables: dict[str, object]) -> None:
    async with running() as toy:
        errors = await toy.errors("query($n: Int!) {half(name: $n)}", variables=variables)
        assert errors[0]["extensions"] == {"code": "BAD_VARIABLES"}
        assert len(errors[0]["message"]) <= 1_000


async def test_a_null_variable_for_an_argument_with_a_default_is_a_bad_variable() -> None:
    async with running() as toy:
        with capture_logs() as logs:
            errors = await toy.errors("query($n: Int) {half(name: $n)}", variables={"n": None})
        assert (errors[0]["extensions"], logs) == ({"code": "BAD_VARIABLES"}, [])


async def test_suggestions_are_made_only_where_introspection_is() -> None:
    async with running(introspection=True) as toy:
        assert "Did you mean" in (await toy.errors("{helo}"))[0]["message"]
    async with running(introspection=False) as toy:
        assert "Did you mean" not in (await toy.errors("{helo}"))[0]["message"]
        assert (await toy.errors("{__schema {description}}"))[0]["extensions"] == {"code": "VALIDATION_FAILED"}
