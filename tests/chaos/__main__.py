"""`python -m tests.chaos`: breaks everything that can break, and accounts for every message and every token."""

import argparse
import asyncio
import signal
import sys
import time

from tests.chaos import report
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.stage import Stage, staged
from tests.chaos.trial import Trial, opened_front_end


def main() -> None:
    # Its processes end with it: what is opened is closed on the way out.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    given = _arguments()
    chosen = [fault for fault in FAULTS if not given.only or fault.name in given.only]
    began = time.monotonic()
    say(f"Starting PostgreSQL, a model server and three processes of gus; then {len(chosen)} faults")
    with staged() as stage:
        trials = asyncio.run(_play(stage, chosen, given))
    for trial in trials:
        say(f"{'VIOLATED' if trial.violations else 'kept'}: {trial.line()}")
    violations = sum(len(trial.violations) for trial in trials)
    say(f"{violations} violations in {time.monotonic() - began:.0f} s")
    if given.write:
        command = (
            "make chaos"
            if given.rounds is None and not given.quick
            else f"python -m tests.chaos {' '.join(sys.argv[1:])}"
        )
        report.write(
            {
                fault.title: report.row(fault.title, _rounds(fault, given), trial, command)
                for fault, trial in zip(chosen, trials, strict=True)
            }
        )
    sys.exit(1 if violations else 0)


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)


def say(words: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {words}", flush=True)


async def _play(stage: Stage, chosen: list[Fault], given: argparse.Namespace) -> list[Trial]:
    trials = []
    async with opened_front_end() as front_end:
        for fault in chosen:
            for process in stage.processes:
                await process.start_again()
            trial = Trial(fault.name, _rounds(fault, given), stage, front_end, say)
            await fault.play(trial)
            trials.append(trial)
    return trials


def _rounds(fault: Fault, given: argparse.Namespace) -> int:
    if given.rounds is not None:
        rounds: int = given.rounds
        return rounds
    return fault.quick if given.quick else fault.rounds


def _arguments() -> argparse.Namespace:
    names = [fault.name for fault in FAULTS]
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, help="this fault; may be given several times")
    parser.add_argument("--rounds", type=int, help="how often each is tried")
    parser.add_argument("--quick", action="store_true", help="once or twice each, in two minutes")
    parser.add_argument("--write", action="store_true", help="write the figures to RELIABILITY.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
