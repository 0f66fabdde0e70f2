"""The queue between the web and the workers: Celery carries the photos, Redis what the two tell each other.

Neither side needs the other's half: the web imports no TensorFlow, the worker no web.
"""

TASK = "identify"  # the one task's name
QUEUE = "birds"

MAX_TRIES = 2  # of a photo; one that ends a worker each time must not end them all
TIME_LIMIT = 20  # seconds of one try; after them the process that is at it is killed
#: Seconds after which the broker gives a job to another worker when the first is heard of no more. It must be longer
#: than a try, or every slow one is done twice.
REDELIVERY = TIME_LIMIT + 5
LONGEST_WAIT = 120  # seconds in line; a job whose turn has not come by then is not done any more
KEPT = 3600  # seconds for which an answer is kept for a person who was told where to find it


NO_WORKER = "no worker is there"
NO_BROKER = "the broker of BIRD_QUEUE_URL does not answer"
NO_REDIS = "the Redis of BIRD_RESULT_URL does not answer"


class UnavailableError(Exception):
    """No photo can be identified at the moment.

    :param reason: why, in a few words for who runs the app.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("No photo can be identified at the moment. Please try again in a few seconds.")
        self.reason = reason


class FailedError(Exception):
    """The workers have given up on a photo; the message is a sentence for the person who sent it."""

    def __init__(self) -> None:
        super().__init__("The photo could not be identified: what looks at it failed twice. Please try another photo.")


class LostError(Exception):
    """The answer to a photo did not come in time; the message is a sentence for the person who sent it."""

    def __init__(self) -> None:
        super().__init__("The answer to this photo did not come in time. Please send it again.")


class UnknownJobError(LookupError):
    """There is no such job, or it was longer ago than ``KEPT``."""
