"""`python -m tests.attacks`: attacks one process in every way that is listed, while a second client looks on."""

import argparse
import asyncio
import signal
import sys

from tests.attacks import report
from tests.attacks.attacks import ATTACKS, Attack
from tests.attacks.stage import Stage, staged
from tests.attacks.trial import Played, play


def main() -> None:
    # Its processes end with it: what is opened is closed on the way out.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    given = _arguments()
    chosen = [attack for attack in ATTACKS if not given.only or attack.name in given.only]
    with staged() as stage:
        played = [_played(stage, attack) for attack in chosen]
    if given.write:
        report.write(played)
    sys.exit(1 if any(found for each in played for found in each.findings()) else 0)


def _played(stage: Stage, attack: Attack) -> Played:
    played = asyncio.run(play(stage, attack, attack.times))
    print(report.row(played), flush=True)
    return played


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--only", action="append", choices=[attack.name for attack in ATTACKS], help="several times")
    parser.add_argument("--write", action="store_true", help="write the figures to RELIABILITY.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
