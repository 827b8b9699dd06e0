"""Why gus does not start, in words for whoever started it."""

from collections.abc import Iterable


class CannotStart(Exception):
    """`str()` of it is for whoever started gus: what is wrong and what to do."""

    exit_code = 1


class BadSettings(CannotStart):
    exit_code = 2

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "gus does not start with these settings:\n" + "\n".join(f"  {problem}" for problem in self.problems)
        )
