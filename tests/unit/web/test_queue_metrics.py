"""web/queue_metrics.py: what scaling is told about the queue."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from jobs import NO_REDIS
from jobs.errors import UnavailableError
from jobs.queue_state import EVENTS, QueueFigures
from web.queue_metrics import QueueCollector

COUNTS = dict.fromkeys(EVENTS, 0.0) | {"started": 8.0, "answered": 6.0, "failed": 1.0}
FIGURES = QueueFigures(COUNTS | {"wait_seconds": 2.5, "service_seconds": 0.7}, 30.0, 10.0, 3, 0.1, 1.5)


def metrics_of(source) -> list[str]:
    registry = CollectorRegistry()
    collector = QueueCollector()
    collector.source = source
    registry.register(collector)
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_the_figures_of_the_queue_are_metrics():
    assert metrics_of(lambda: FIGURES) == [
        'bird_jobs_total{event="added"} 0.0',
        'bird_jobs_total{event="refused"} 0.0',
        'bird_jobs_total{event="started"} 8.0',
        'bird_jobs_total{event="answered"} 6.0',
        'bird_jobs_total{event="failed"} 1.0',
        'bird_jobs_total{event="handed_again"} 0.0',
        "bird_job_wait_seconds_count 8.0",
        "bird_job_wait_seconds_sum 2.5",
        "bird_job_service_seconds_count 7.0",
        "bird_job_service_seconds_sum 0.7",
        "bird_oldest_job_seconds 1.5",
        "bird_arrivals_per_second 40.0",
        "bird_service_seconds 0.1",
        "bird_workers 3.0",
        "bird_workers_needed 6.0",
    ]


def test_without_a_queue_or_without_its_redis_there_are_none():
    def gone():
        raise UnavailableError(NO_REDIS)

    assert metrics_of(lambda: None) == metrics_of(gone) == []


@pytest.mark.parametrize(
    ("added", "refused", "seconds", "needed"),
    [(0, 0, 0, 1), (7, 0, 0.1, 1), (8, 0, 0.1, 2), (8, 1, 0.1, 2), (8, 90, 0.1, 3)],
)
def test_workers_are_busy_for_three_quarters_of_the_time_and_refusals_double_their_number_at_most(
    added, refused, seconds, needed
):
    assert QueueFigures(COUNTS, added, refused, 1, seconds, 0).workers_needed == needed
