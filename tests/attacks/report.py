"""RELIABILITY.md: one row for each attack, between two marks, replaced when the attack is played again."""

from collections.abc import Iterable
from pathlib import Path

from tests.attacks.trial import Played

FILE = Path(__file__).parents[2] / "RELIABILITY.md"
BEGIN, END = "<!-- attacks: python -m tests.attacks --write -->", "<!-- /attacks -->"
COLUMNS = (
    "attack",
    "times",
    "in s",
    "what its sender was told",
    "second client: worst, median ms",
    "MB more after",
    "log, bytes a request",
    "result",
)
HEADER, RULE = f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"


def row(played: Played) -> str:
    told = ", ".join(f"{what} {count:,}" for what, count in sorted(played.told.items()))
    findings = "; ".join(played.findings())
    cells = (
        played.attack.title,
        f"{played.times:,}",
        f"{played.took_seconds:.1f}",
        told,
        f"{played.worst_ms:.0f}, {played.median_ms:.0f}",
        f"{played.more_mb:.1f}",
        f"{played.log_bytes:.0f}",
        f"**{findings}**" if findings else "held",
    )
    return f"| {' | '.join(cells)} |"


def write(played: Iterable[Played]) -> None:
    """By title; what was not played now stays as it is."""
    before, rest = FILE.read_text().split(BEGIN)
    table, after = rest.split(END)
    kept = {line.split(" | ")[0].removeprefix("| "): line for line in table.strip().splitlines()[2:]}
    rows = kept | {each.attack.title: row(each) for each in played}
    FILE.write_text(before + "\n".join([BEGIN, HEADER, RULE, *rows.values(), END]) + after)
