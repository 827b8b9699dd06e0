"""RELIABILITY.md: one row for each fault, replaced when the fault is tried again."""

from pathlib import Path

from tests.chaos.trial import Trial

FILE = Path(__file__).parents[2] / "RELIABILITY.md"
HEADER = "| fault | rounds | counted | must be 0 | figures | result | command |"
RULE = "| --- | --- | --- | --- | --- | --- | --- |"


def row(title: str, rounds: int, trial: Trial, command: str) -> str:
    counted = ", ".join(f"{what} {count:,}" for what, count in trial.counted.items())
    figures = ", ".join(f"{what} {figure:.1f}" for what, figure in trial.worst.items())
    result = "**violated**" if trial.violations else "kept"
    cells = (title, f"{rounds:,}", counted, trial.verdict(), figures, result, f"`{command}`")
    return f"| {' | '.join(cells)} |"


def write(rows: dict[str, str]) -> None:
    """By title; what was not tried now stays as it is."""
    lines = FILE.read_text().splitlines()
    start = lines.index(HEADER) + 2
    end = next((at for at in range(start, len(lines)) if not lines[at].startswith("|")), len(lines))
    kept = {line.split(" | ")[0].removeprefix("| "): line for line in lines[start:end]}
    FILE.write_text("\n".join([*lines[:start], *(kept | rows).values(), *lines[end:]]) + "\n")
