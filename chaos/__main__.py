"""Whether each photo gets its answer while something is broken: python -m chaos kills | restarts | cuts | short | all

Prints a row of a table in Markdown for each run, and what must not be; then the exit status is 1. README.md says more.
"""

import argparse
import random
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from .fates import ANSWERED, EXPLANATIONS, REFUSED, Outcome
from .places import RABBITMQ, REDIS
from .runs import Conditions, cut, kill_workers, restart, run

LONGEST_WAIT = 15  # seconds that a job may wait, beside the time in which something is broken
#: Two thirds of what these workers can do, since they lose time to each fault.
FEW_WORKERS: dict[str, Any] = {"rate": 8, "workers": 2}
#: What piles up during the longest cut is done within ``LONGEST_WAIT`` after it.
FOR_CUTS: dict[str, Any] = {"rate": 5, "workers": 2}
COLUMNS = (
    "broken",
    "queue",
    "sent",
    "refused",
    "answered",
    "explained",
    "tried twice",
    "longest wait",
    "if hit",
    "faults",
)


def main() -> None:
    options = _parser().parse_args()
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    random.seed(seed)
    print(f"seed {seed}\n\n| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}", flush=True)
    conditions = Conditions(
        options.broker, options.own_store, not options.no_persistence, options.rate, options.workers
    )
    runs = Runs(options.wait)
    match options.run:
        case "kills":
            runs.kills(conditions, options.jobs, options.kills)
        case "restarts":
            runs.restarts(conditions, options.restarts, of_store=options.of_store)
        case "cuts":
            runs.cuts(conditions, options.cuts, options.longest_cut)
        case "short":
            short(runs)
        case "all":
            everything(runs)
    sys.exit(1 if runs.complaints else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__.splitlines()[0])
    parser.add_argument("run", choices=("kills", "restarts", "cuts", "short", "all"))
    parser.add_argument("--broker", choices=(REDIS, RABBITMQ), default=REDIS)
    parser.add_argument("--own-store", action="store_true", help="a Redis of its own for answers and the job store")
    parser.add_argument("--no-persistence", action="store_true", help="broker and store keep nothing on disk")
    parser.add_argument("--rate", type=float, default=10, help="jobs a second")
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=20_000, help="of kills, about")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--restarts", type=int, default=50)
    parser.add_argument("--of-store", action="store_true", help="restart the store instead of the broker")
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--longest-cut", type=float, default=30, help="seconds")
    parser.add_argument("--wait", type=float, default=LONGEST_WAIT, help="seconds that a job may wait")
    parser.add_argument("--seed", type=int, help="of what is random here; the operating system adds its own")
    return parser


class Runs:
    """Runs, each with a row of the table.

    :ivar complaints: what must not be, of all of them.
    :param longest_wait: seconds that a job may wait.
    """

    def __init__(self, longest_wait: float) -> None:
        self.complaints: list[str] = []
        self._longest_wait = longest_wait

    def kills(self, conditions: Conditions, jobs: int, number: int) -> None:
        """Kill workers while about so many jobs are sent."""
        outcome = run(conditions, partial(kill_workers, number=number, seconds=jobs / conditions.rate))
        self._report(f"{number} kills: {_listed(outcome.kills)}", conditions, outcome)

    def restarts(self, conditions: Conditions, number: int, *, of_store: bool = False) -> None:
        """Restart the broker, or the store."""
        outcome = run(conditions, partial(restart, number=number, of_store=of_store))
        is_store = of_store or (conditions.broker == REDIS and not conditions.has_own_store)
        what = f"{'store' if of_store else 'broker'} restarted {number} times"
        self._report(what, conditions, outcome, store_forgets=is_store)

    def cuts(self, conditions: Conditions, number: int, longest: float) -> None:
        """Cut connections."""
        outcome = run(conditions, partial(cut, number=number, longest=longest), with_proxies=True)
        self._report(f"{number} cuts of 1 to {longest:.0f} s", conditions, outcome)

    def _report(self, what: str, conditions: Conditions, outcome: Outcome, *, store_forgets: bool = False) -> None:
        complaints = list(outcome.complaints(self._longest_wait, store_forgets=store_forgets))
        self.complaints += complaints
        cells = (
            what,
            in_words(conditions),
            len(outcome.jobs),
            _listed({fate.removeprefix(REFUSED): count for fate, count in outcome.fates.items() if REFUSED in fate}),
            outcome.fates[ANSWERED],
            _listed({fate: count for fate, count in outcome.fates.items() if fate in EXPLANATIONS}),
            sum(tries > 1 for tries in outcome.begun.values()),
            f"{outcome.longest(outcome.accepted):.1f} s",
            f"{outcome.longest(outcome.hit):.1f} s of {len(outcome.hit)}",
            "; ".join(complaints) or "none",
        )
        print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def in_words(conditions: Conditions) -> str:
    """The servers of a run, for its row."""
    name = {REDIS: "Redis", RABBITMQ: "RabbitMQ"}[conditions.broker]
    store = " beside a Redis" if conditions.has_own_store or conditions.broker != REDIS else ""
    return f"{name}{store}, {'on disk' if conditions.is_persistent else 'in memory only'}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} × {what}" for what, count in sorted(counts.items())) or "0"


def short(runs: Runs) -> None:
    """What fits into a minute: some of everything."""
    for broker in (REDIS, RABBITMQ):
        runs.kills(Conditions(broker, workers=4), jobs=80, number=5)
    runs.restarts(Conditions(REDIS, has_own_store=True, **FEW_WORKERS), 1)
    runs.cuts(Conditions(REDIS, **FOR_CUTS), 1, longest=4)


def everything(runs: Runs) -> None:
    """The whole proof, which takes hours."""
    for broker in (REDIS, RABBITMQ):
        runs.kills(Conditions(broker), jobs=20_000, number=1000)
    for is_persistent in (True, False):
        redis = Conditions(REDIS, is_persistent=is_persistent, **FEW_WORKERS)
        beside = replace(redis, has_own_store=True)
        for conditions in (redis, beside, replace(redis, broker=RABBITMQ)):
            runs.restarts(conditions, 50)
        runs.restarts(beside, 50, of_store=True)
    for broker in (REDIS, RABBITMQ):
        runs.cuts(Conditions(broker, **FOR_CUTS), 50, longest=30)


if __name__ == "__main__":
    main()
