"""Whether an answer has the form that it must have."""

import json

from domain.response_format import ResponseFormat, ResponseFormatType
from domain.text import cut
from providers.json_schema.schemas import LONGEST_PROBLEM
from providers.json_schema.work import TooMuchWork, Work, counting

# Reading it holds up everybody, thread or not: 10 ms for so long a text.
LONGEST_ANSWER = 2_000_000
TOO_LONG = f"It is longer than {LONGEST_ANSWER} characters."


def answer_problem(text: str, form: ResponseFormat) -> str | None:
    """`form` is one of JSON."""
    if len(text) > LONGEST_ANSWER:
        return TOO_LONG
    try:
        answer = json.loads(text, parse_constant=_not_json)
        if form.type is ResponseFormatType.JSON_OBJECT:
            return None if isinstance(answer, dict) else "It is JSON, but not an object."
        assert form.schema is not None, "was checked"
        return _first_error(answer, form.schema)
    except ValueError as error:
        return _shortened(f"It is not JSON: {error}.")
    except RecursionError:
        return "It is nested too deep."
    except ArithmeticError:
        return "It has a number that is too large."
    except TooMuchWork:
        return "It takes too much work to check against the schema."


def _first_error(answer: object, schema: str) -> str | None:
    """Raises TooMuchWork, RecursionError, ArithmeticError."""
    error = next(counting(Work())(json.loads(schema)).iter_errors(answer), None)
    return _shortened(f"{error.json_path}: {error.message}.") if error else None


def _not_json(constant: str) -> object:
    raise ValueError(f"{constant} is no value of JSON")


def _shortened(problem: str) -> str:
    return cut(problem, LONGEST_PROBLEM)
