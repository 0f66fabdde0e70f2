"""What a client gets instead of an answer that takes a while."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PendingJob:
    """A job that has no answer yet.

    :param id: for ``RemoteClassifier.look_up``; a secret, because it leads to the photo.
    """

    id: str


@dataclass(frozen=True)
class Position:
    """The position of a job in the queue.

    :param ahead: how many jobs will be started before it; None if a worker has started it.
    :param seconds: the estimated time until it is answered.
    """

    ahead: int | None
    seconds: int
