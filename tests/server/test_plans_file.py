import json
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from domain.plan import Plan
from domain.quota.limit import PlanLimit, QuotaMetric, QuotaWindow
from domain.user import Role
from domain.world import PlanKey
from server.plans_file import plans_schema, read_plans
from server.settings import BadSettings

ROOT = Path(__file__).parents[2]
ALL = '[[plans]]\nkey = "all"\nname = "All"\nroles = ["GUEST", "USER", "PREMIUM", "ADMIN", "SERVICE"]\n'
EVERYBODY = 'default_for = ["GUEST", "USER", "PREMIUM", "ADMIN", "SERVICE"]\n'
ONE = "{metric = 'COST', window = 'DAY', hard = 1}"


def read(tmp_path: Path, text: str) -> tuple[Plan, ...]:
    file = tmp_path / "plans.toml"
    file.write_text(text)
    return read_plans(file)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(BadSettings) as refused:
        read(tmp_path, text)
    assert all(str(tmp_path / "plans.toml") in problem for problem in refused.value.problems)
    return [problem.split(": ", 1)[1] for problem in refused.value.problems]


def test_the_least_that_a_file_needs(tmp_path: Path) -> None:
    assert read(tmp_path, ALL + EVERYBODY) == (
        Plan(PlanKey("all"), "All", roles=frozenset(Role), default_for=frozenset(Role)),
    )


def test_a_plan_names_models_features_and_limits(tmp_path: Path) -> None:
    more = 'models = ["a", "b"]\nfeatures = ["x"]\nlimits = [{metric = "COST", window = "DAY", soft = 0.5, hard = 1}]\n'
    more += f'address_limits = [{ONE}]\nroles = ["GUEST", "USER"]\n'
    _, plan = read(tmp_path, ALL + EVERYBODY + '[[plans]]\nkey = "some"\nname = "Some"\n' + more)
    assert plan.models == frozenset({"a", "b"})
    assert (plan.features, plan.roles) == (("x",), frozenset({Role.GUEST, Role.USER}))
    assert plan.limits == (PlanLimit(QuotaMetric.COST, QuotaWindow.DAY, Decimal("0.5"), Decimal(1)),)
    assert plan.address_limits == (PlanLimit(QuotaMetric.COST, QuotaWindow.DAY, hard=Decimal(1)),)


def test_the_example_is_valid_and_has_a_plan_for_every_role() -> None:
    plans = read_plans(ROOT / "docker" / "plans.toml")
    assert [plan.key for plan in plans] == ["guest", "free", "premium", "unlimited"]
    assert frozenset().union(*(plan.default_for for plan in plans)) == frozenset(Role)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["[[plans]]: is missing"]),
        (ALL + EVERYBODY + "price = 1\n", ["[[plans]] 1 (all): price: there is no such key"]),
        (ALL + EVERYBODY + ALL, ["[[plans]]: key: 'all' is there twice"]),
        (
            ALL + EVERYBODY.replace('"GUEST", ', ""),
            ["[[plans]]: default_for: GUEST must be in exactly one plan; it is in none"],
        ),
        (
            ALL + EVERYBODY + '[[plans]]\nkey = "b"\nname = "B"\ndefault_for = ["USER"]\n',
            ["[[plans]]: default_for: USER must be in exactly one plan; it is in all, b"],
        ),
        (
            ALL.replace('"GUEST", ', "") + EVERYBODY,
            ["[[plans]] 1 (all): default_for: GUEST is not among roles"],
        ),
        (
            ALL + EVERYBODY + 'models = ["*", "a"]\n',
            ['[[plans]] 1 (all): models: "*" stands for all and alone'],
        ),
        (
            ALL + EVERYBODY + "limits = [{metric = 'COST', window = 'DAY'}]\n",
            ["[[plans]] 1 (all): limits: 0: soft, hard or both must be given"],
        ),
        (
            ALL + EVERYBODY + "limits = [{metric = 'MESSAGES', window = 'INSTANT', hard = 1}]\n",
            [
                "[[plans]] 1 (all): limits: 0: window: CONCURRENT_GENERATIONS are counted in the window INSTANT, "
                "and nothing else is."
            ],
        ),
        *(
            (
                ALL + EVERYBODY + f"limits = [{{metric = 'MESSAGES', window = 'DAY', hard = {hard}}}]\n",
                [f"[[plans]] 1 (all): limits: 0: hard: {words}"],
            )
            for hard, words in (
                ("-1", "From 0 to 1000000000."),
                ("1e10", "From 0 to 1000000000."),
                ("nan", "input should be a finite number"),
                ("inf", "input should be a finite number"),
                ("1.5", "A whole number."),
            )
        ),
        (
            ALL + EVERYBODY + "limits = [{metric = 'MESSAGES', window = 'DAY', hard = true}]\n",
            ["[[plans]] 1 (all): limits: 0: hard: must be a number"],
        ),
        (
            ALL + EVERYBODY + "limits = [{metric = 'COST', window = 'DAY', hard = 1, soft = 2}]\n",
            ["[[plans]] 1 (all): limits: 0: soft: At most as high as the hard limit, or nobody would ever be told."],
        ),
        (
            ALL + EVERYBODY + f"limits = [{ONE}, {ONE}]\n",
            ["[[plans]] 1 (all): limits: there is more than one limit of COST per DAY"],
        ),
        (
            ALL + EVERYBODY + f"address_limits = [{ONE}, {ONE}]\n",
            ["[[plans]] 1 (all): address_limits: there is more than one limit of COST per DAY"],
        ),
        (
            ALL + EVERYBODY + f'[[plans]]\nkey = "b"\nname = "B"\naddress_limits = [{ONE}]\n',
            ["[[plans]] 2 (b): address_limits: only guests have an address, and GUEST is not among roles"],
        ),
    ],
)
def test_what_is_wrong_is_told_by_table_and_key(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert problems(tmp_path, text) == expected


def test_the_published_schema_is_that_of_the_loader() -> None:
    assert (ROOT / "docs" / "plans.schema.json").read_text() == plans_schema() + "\n"


def flaws(text: str) -> list[str]:
    """Where the published schema finds fault."""
    schema = json.loads((ROOT / "docs" / "plans.schema.json").read_text())
    return [error.json_path for error in Draft202012Validator(schema).iter_errors(tomllib.loads(text))]


@pytest.mark.parametrize("file", ["docker/plans.toml", "tests/graphql/plans.toml"])
def test_the_schema_holds_for_files_that_are_good(file: str) -> None:
    assert flaws((ROOT / file).read_text()) == []


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ("price = 1\n", "$.plans[0]"),
        ('models = ["a b"]\n', "$.plans[0].models[0]"),
        ("limits = [{metric = 'WORDS', window = 'DAY', hard = 1}]\n", "$.plans[0].limits[0].metric"),
        ("address_limits = [{metric = 'COST', window = 'DAY', hard = -1}]\n", "$.plans[0].address_limits[0].hard"),
    ],
)
def test_the_schema_finds_what_the_loader_finds(tmp_path: Path, wrong: str, where: str) -> None:
    assert flaws(ALL + EVERYBODY + wrong) == [where]
    assert len(problems(tmp_path, ALL + EVERYBODY + wrong)) >= 1


def test_what_is_no_toml_is_told_by_line(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, ALL + EVERYBODY + "models = [,\n")
    assert problem.startswith("is no TOML: ")
    assert "line 6" in problem
