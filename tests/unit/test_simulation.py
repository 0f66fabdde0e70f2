"""benchmarks/queueing.py: the simulated queue, where a result is known by theory or by counting."""

import statistics

import pytest

from benchmarks.queueing import Outcome, People, Scaling, Simulation, Site, by_arrivals
from benchmarks.random_times import poisson
from jobs import LEASE

RATE, SERVICE, SECONDS = 80, 0.01, 600  # photos a second, seconds: a load of 0.8


def outcome_of(**site: object) -> Outcome:
    arrivals = poisson([(RATE, SECONDS)])
    return Simulation(Site(**({"arrivals": arrivals, "workers": 1, "service": SERVICE} | site))).run(SECONDS)


def mean_wait(outcome: Outcome) -> float:
    return statistics.mean(wait for _time, wait in outcome.waits)


@pytest.mark.parametrize(
    ("spread", "expected"),
    # Pollaczek and Khinchine: load × service × (1 + spread²) / (2 × (1 − load))
    [(1, 0.8 * SERVICE / 0.2), (0, 0.8 * SERVICE / 0.4)],
    ids=["M/M/1", "M/D/1"],
)
def test_photos_wait_as_long_as_theory_says(spread, expected):
    assert mean_wait(outcome_of(spread=spread)) == pytest.approx(expected, rel=0.08)


def test_as_many_are_refused_as_theory_says():
    """M/M/1/K: with room for ``K`` photos, the one in progress included, (1 − load) × load^K / (1 − load^(K+1))."""
    outcome = outcome_of(spread=1, max_waiting=3)  # the store refuses once more than three wait, so K is 5
    refused = len(outcome.refusals) / (len(outcome.refusals) + len(outcome.waits))
    assert refused == pytest.approx(0.2 * 0.8**5 / (1 - 0.8**6), rel=0.08)


def test_two_workers_share_the_queue():
    both = outcome_of(spread=1, workers=2, service=2 * SERVICE)
    # Erlang C for two workers: the wait of M/M/2 is load² × service / (1 − load²)
    assert mean_wait(both) == pytest.approx(0.64 * 2 * SERVICE / 0.36, rel=0.08)


def test_a_photo_of_a_lost_worker_is_handed_to_another_when_its_lease_ends():
    outcome = outcome_of(arrivals=[1], workers=2, service=0.5, spread=0, losses=((1.2, 2),), failures=0)
    assert outcome.answers == []
    outcome = outcome_of(arrivals=[1, 1.1], workers=2, service=0.5, spread=0, losses=((1.2, 1),))
    assert outcome.handed_again == 1
    assert max(taken for _time, taken in outcome.answers) == pytest.approx(LEASE + 0.5, abs=0.2)


def test_every_photo_is_answered_however_often_workers_are_killed():
    outcome = outcome_of(arrivals=[each / 40 for each in range(400)], workers=2, failures=0.5, restart=1)
    assert outcome.handed_again > 0
    assert len(outcome.answers) == 400


def test_people_who_are_refused_come_back_and_give_up_in_the_end():
    people = People(retries=2, heed_retry_after=False)
    outcome = outcome_of(arrivals=[0.5] * 10, service=60, spread=0, max_waiting=1, people=people)
    assert len(outcome.refusals) == 3 * outcome.gave_up == 3 * 7  # one in progress, two in the queue


def test_as_many_workers_are_started_as_the_load_needs_and_removed_when_it_is_over():
    arrivals = poisson([(35, 900), (2, 1800)])
    scaling = Scaling(by_arrivals(0.75), least=2)
    outcome = Simulation(Site(arrivals, workers=2, service=0.1, max_waiting=100, scaling=scaling)).run(1800)
    numbers = [number for _time, number in outcome.workers]
    assert max(numbers) == 5  # 35 × 0.1 / 0.75
    assert numbers[-1] == 2


def test_the_same_seed_gives_the_same_run():
    arrivals = [each / 40 for each in range(400)]
    first, second = (outcome_of(arrivals=arrivals, failures=0.5) for _ in range(2))
    assert first.answers == second.answers
