"""``Retry-After``: after how many seconds a refused photo is worth sending again."""

import random
from math import ceil

from inference.sentences import Sentence, counted

INITIAL_SERVICE_TIME = 0.1  # seconds that a photo is assumed to take until some have been answered
SERVICE_TIME_WINDOW = 20  # photos over which the mean service time is averaged
UNAVAILABLE = 5  # seconds: about how long the app, a broker, a Redis or a worker takes to restart
DISK_FULL = 60  # seconds: an operator has to make room
LEAST_SPREAD = 3  # seconds within which the refused come again, at least


def when_queue_is_empty(waiting: int, mean_service_time: float) -> int:
    """Whole seconds until the photos that are waiting now have been answered, or by chance up to twice as many.

    Those who are refused in the same moment would otherwise come again in the same moment, and be refused again.

    :param waiting: photos in the queue.
    :param mean_service_time: seconds that each takes, averaged over the last ``SERVICE_TIME_WINDOW``.
    """
    seconds = max(1, ceil(waiting * mean_service_time))
    return random.randint(seconds, max(2 * seconds, LEAST_SPREAD))


def when_it_is_back() -> int:
    """Whole seconds until what is being restarted is back, or by chance up to twice as many, for the same reason."""
    return random.randint(UNAVAILABLE, 2 * UNAVAILABLE)


def then_try_again(sentence: Sentence, seconds: int) -> Sentence:
    """A sentence that says why not now, and when to try again."""
    when = counted("Please try again in a second.", "Please try again in %(num)s seconds.", seconds)
    return Sentence("%(sentence)s %(next_sentence)s", sentence=sentence, next_sentence=when)
