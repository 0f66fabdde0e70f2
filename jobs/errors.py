"""Why a photo gets no answer from the classifier, local or remote. Each message is a sentence for its sender."""

import contextlib
from collections.abc import Iterator

from inference.sentences import Sentence, counted

from . import retry_after


class BusyError(Exception):
    """The queue is full, or so long that the photo would wait too long, or its client has too many photos in it.

    :param waiting: photos in the queue.
    :param mean_service_time: seconds that each of them takes.
    :param own: how many photos of the client are in the queue, if they are as many as may be.
    :ivar retry_after: seconds after which it is worth trying again.
    """

    def __init__(self, waiting: int, mean_service_time: float, own: int | None = None) -> None:
        self.retry_after = retry_after.when_queue_is_empty(waiting, mean_service_time)
        if own is None:
            why = counted(
                "The app is busy: 1 photo is in line.", "The app is busy: %(num)s photos are in line.", waiting
            )
        else:
            why = counted(
                "1 photo from your address is still in line, and no more may be at a time.",
                "%(num)s photos from your address are still in line, and no more may be at a time.",
                own,
            )
        super().__init__(retry_after.then_try_again(why, self.retry_after))


class UnavailableError(Exception):
    """No photo can be identified at the moment.

    :param reason: why, in a few words for the operator.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(Sentence("No photo can be identified at the moment. Please try again in a few seconds."))
        self.reason = reason


@contextlib.contextmanager
def unavailable_on(reason: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn these exceptions in the block, which a broker or a Redis that does not answer raises, into one.

    :raises UnavailableError: with this reason.
    """
    try:
        yield
    except errors as error:
        raise UnavailableError(reason) from error


class JobFailedError(Exception):
    """The workers failed on a photo ``MAX_TRIES`` times. Sending it again will not help."""

    def __init__(self) -> None:
        super().__init__(
            Sentence("The photo could not be identified: the network failed on it twice. Please try another photo.")
        )


class JobLostError(Exception):
    """There will be no answer to a job: it was lost, or a worker of another release gave one that cannot be read.

    Sending the photo again helps.
    """

    def __init__(self) -> None:
        super().__init__(Sentence("The answer to this photo did not come in time. Please send it again."))


class UnknownJobError(LookupError):
    """There is no such job, or it is older than ``ANSWER_LIFETIME``."""
