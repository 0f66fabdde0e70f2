"""What ``/metrics`` says of the queue between web processes and workers: what scaling needs to know (docs/scaling.md).

The figures are those of the whole site, from the Redis, so every web process says the same.
"""

from collections.abc import Callable, Iterator

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from jobs.errors import UnavailableError
from jobs.queue_state import EVENTS, QueueFigures


class QueueCollector(Collector):
    """Asks for the figures whenever somebody reads the metrics.

    :ivar source: gives them, or None if there is no queue; raises ``UnavailableError`` if the queue does not answer.
    """

    def __init__(self) -> None:
        self.source: Callable[[], QueueFigures | None] = lambda: None

    def collect(self) -> Iterator[Metric]:
        """The metrics of the queue; none if there is no queue, or it does not answer."""
        try:
            figures = self.source()
        except UnavailableError:
            return
        if figures:
            yield _jobs(figures)
            yield _summary(figures, "wait", "Time that jobs waited until a worker began")
            yield _summary(figures, "service", "Time that workers spent on jobs")
            yield from _gauges(figures)


def _jobs(figures: QueueFigures) -> Metric:
    jobs = CounterMetricFamily("bird_jobs", "Jobs of the site by what happened to them", labels=["event"])
    for event in EVENTS:
        jobs.add_metric([event], figures.counts[event])
    return jobs


def _summary(figures: QueueFigures, stage: str, meaning: str) -> Metric:
    number = figures.counts["started"] if stage == "wait" else figures.counts["answered"] + figures.counts["failed"]
    return SummaryMetricFamily(
        f"bird_job_{stage}_seconds", meaning, count_value=int(number), sum_value=figures.counts[f"{stage}_seconds"]
    )


def _gauges(figures: QueueFigures) -> Iterator[Metric]:
    yield GaugeMetricFamily("bird_oldest_job_seconds", "Age of the oldest job that waits", figures.oldest)
    yield GaugeMetricFamily("bird_arrivals_per_second", "Photos a second", figures.arrivals_per_second)
    yield GaugeMetricFamily("bird_service_seconds", "Time that a worker takes for a photo", figures.service_seconds)
    yield GaugeMetricFamily("bird_workers", "Worker processes that take jobs", figures.workers)
    yield GaugeMetricFamily("bird_workers_needed", "Worker processes that the site needs", figures.workers_needed)


queue = QueueCollector()
REGISTRY.register(queue)
