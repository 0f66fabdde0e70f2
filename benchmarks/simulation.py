"""Where a site with a queue breaks, simulated: python -m benchmarks.simulation

Prints a table in less than a minute, always the same one. ``queueing.py`` says what is simulated.
"""

import heapq
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, inf

from .queueing import Outcome, People, Scaling, Simulation, Site, by_arrivals, by_queue
from .random_times import poisson

SERVICE = 0.016  # seconds that a worker of two cores takes for a photo: 63 a second (docs/scaling.md)
SPREAD = 0.25  # its standard deviation, as a share
RATE = 1000  # photos a second
NEEDED = ceil(RATE * SERVICE / 0.75)
QUEUE = 2 * RATE  # BIRD_MAX_WAITING as docs/scaling.md recommends it
MINUTES = 60
END = 18 * MINUTES  # of the runs in which the number of workers changes


@dataclass(frozen=True)
class Run:
    """A row of the table.

    :param seconds: that are simulated; what happened before ``since`` does not count.
    """

    name: str
    site: Site
    seconds: float
    since: float = 10


def loads() -> Iterator[Run]:
    """As many workers as keep each busy for a share of its time; from 1.0, all of its time and more."""
    for load in (0.5, 0.73, 0.9, 0.97, 1.1, 1.5):
        workers = round(RATE * SERVICE / load)
        exact = workers * load / SERVICE  # photos a second: the number of workers is whole
        yield Run(f"load {load}, {workers} workers", steady(workers, rate=exact, seconds=40), 40)


def faults() -> Iterator[Run]:
    """What happens to a site with as many workers as it needs."""
    crowd = list(heapq.merge(poisson([(RATE, 40)]), [15.0] * 1000))
    yield Run("1,000 photos more in the same moment", replace(steady(NEEDED), arrivals=crowd), 40)
    third = ((15.0, ceil(NEEDED / 3)),)
    yield Run("a third of the workers is lost", replace(steady(NEEDED), losses=third), 40, since=15)
    yield Run("each worker is killed once a minute", replace(steady(NEEDED), failures=1 / 60), 40)
    yield Run("each worker is killed every 10 s", replace(steady(NEEDED), failures=0.1), 40)


def stubbornness() -> Iterator[Run]:
    """Ten seconds of twice the load, and what is left of it 30 seconds later."""
    waves = [(RATE / 4, 10), (RATE / 2, 20), (RATE / 4, 80)]  # a quarter of the site, so that it does not take minutes
    workers = ceil(RATE / 4 * SERVICE / 0.9)
    site = Site([], workers, SERVICE, SPREAD)
    impatient = People(patience=3, retries=10, heed_retry_after=False)
    for people, queue, what in (
        (People(retries=10), QUEUE / 4, "wait as told"),
        (People(retries=10, heed_retry_after=False), QUEUE / 4, "try again at once"),
        (impatient, QUEUE / 4, "send it again after 3 s without an answer, queue of 2 s"),
        (impatient, 10 * QUEUE, "send it again after 3 s without an answer, queue of 80 s"),
    ):
        arrivals = poisson(waves)
        run = replace(site, arrivals=arrivals, people=people, max_waiting=queue)
        who = "people" if people.patience < inf else "those who are refused"
        yield Run(f"after a peak of twice the load, {who} {what}", run, 80, since=50)


def growth() -> Iterator[Run]:
    """Four times the load from one second to the next, with workers that are added as they are needed."""
    rate = RATE / 20
    jump = [(rate, 3 * MINUTES), (4 * rate, END)]
    for place, period, start in (("Elastic Beanstalk", 60, 240), ("KEDA", 15, 30)):
        for how, needed in (
            ("by arrivals, 0.75", by_arrivals(0.75)),
            ("by arrivals, 0.9", by_arrivals(0.9)),
            ("by arrivals, 0.75, however many were refused", by_arrivals(0.75, inf)),
            ("by the queue's length", by_queue(1)),
        ):
            site = Site(poisson(jump), ceil(rate * SERVICE / 0.75), SERVICE, SPREAD, 4 * rate, People(retries=3))
            scaling = Scaling(needed, least=1, period=period, start=start)
            yield Run(f"{place}, {how}", replace(site, scaling=scaling), END, since=3 * MINUTES)


def steady(workers: int, *, rate: float = RATE, seconds: float = 40) -> Site:
    """A site without surprises."""
    return Site(poisson([(rate, seconds)]), workers, SERVICE, SPREAD, QUEUE)


def describe(run: Run, outcome: Outcome) -> list[str]:
    """The cells of a row."""
    waits = sorted(wait for time, wait in outcome.waits if time >= run.since)
    answered = sum(time >= run.since for time, _taken in outcome.answers)
    refusals = [time for time in outcome.refusals if time >= run.since]
    p50, p95, p99 = ((statistics.quantiles(waits, n=100))[each - 1] for each in (50, 95, 99))
    workers = [number for time, number in outcome.workers if time >= run.since] or [outcome.workers[-1][1]]
    return [
        run.name,
        f"{answered / (run.seconds - run.since):.0f}",
        f"{len(refusals) / (run.seconds - run.since):.0f}",
        *(f"{each:.2f}" for each in (p50, p95, p99, waits[-1])),
        str(outcome.too_late),
        f"{refusals[-1] - run.since:.0f}" if refusals else "none",
        f"{min(workers)} to {max(workers)}" if len(set(workers)) > 1 else str(workers[0]),
    ]


def main() -> None:
    head = [
        "what",
        "answered/s",
        "refused/s",
        "wait p50, s",
        "p95",
        "p99",
        "longest",
        "too late",
        "last refusal, s",
        "workers",
    ]
    print("|", " | ".join(head), "|\n|", " | ".join(["---"] * len(head)), "|")
    for group in (loads, faults, stubbornness, growth):
        for run in group():
            outcome = Simulation(run.site).run(run.seconds)
            print("|", " | ".join(describe(run, outcome)), "|", flush=True)


if __name__ == "__main__":
    main()
