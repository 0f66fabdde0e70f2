"""What Prometheus may ask the web process for at /metrics."""

from collections.abc import Callable

from prometheus_client import Counter, Gauge, Histogram, Info, disable_created_metrics

OUTCOMES = ("identified", "later", "refused", "limited", "busy", "unavailable", "gone", "failed")

#: From a millisecond, in which small pictures are decoded, to the 20 seconds of the longest wait.
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)

disable_created_metrics()  # when each series began: the start of the process, which has a metric of its own

photos = Counter("bird_photos", "Photos by what became of them", ["outcome"])
stage_seconds = Histogram("bird_stage_seconds", "What a part of an answer took", ["stage"], buckets=BUCKETS)
waiting = Gauge("bird_line_photos", "Photos in line; NaN if the queue cannot be asked")
model = Info("bird_model", "The network that is loaded")

for outcome in OUTCOMES:
    photos.labels(outcome)  # a series that begins with its first event hides that event from rate()


def describe(sha256: str, labels: int, waiting_now: Callable[[], float]) -> None:
    """Say what is loaded, and where the length of the line is to be had.

    :param labels: how many.
    """
    model.info({"sha256": sha256, "labels": str(labels)})
    waiting.set_function(waiting_now)
