"""``Retry-After``: after how many seconds a refused photo is worth sending again."""

from math import ceil

from inference.sentences import Sentence, counted

INITIAL_SERVICE_TIME = 0.1  # seconds that a photo is assumed to take until some have been answered
SERVICE_TIME_WINDOW = 20  # photos over which the mean service time is averaged
UNAVAILABLE = 5  # seconds: about how long a broker, a Redis or a worker takes to restart
DISK_FULL = 60  # seconds: an operator has to make room


def when_queue_is_empty(waiting: int, mean_service_time: float) -> int:
    """Whole seconds until the photos that are waiting now have been answered; at least 1.

    :param waiting: photos in the queue.
    :param mean_service_time: seconds that each takes, averaged over the last ``SERVICE_TIME_WINDOW``.
    """
    return max(1, ceil(waiting * mean_service_time))


def then_try_again(sentence: Sentence, seconds: int) -> Sentence:
    """A sentence that says why not now, and when to try again."""
    when = counted("Please try again in a second.", "Please try again in %(num)s seconds.", seconds)
    return Sentence("%(sentence)s %(next_sentence)s", sentence=sentence, next_sentence=when)
