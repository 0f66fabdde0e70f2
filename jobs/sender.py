"""Who sent a photo: what a queue needs to know so that nobody has to wait for somebody else's folder."""

from dataclasses import dataclass

BATCH_TURN = 5  # of this many photos that leave a queue, one is of a batch if there are any, however many people wait
SHARE = 2  # one client may have one in this many of the places in a queue, so that there is always room for another
KEPT_FOR_PEOPLE = 4  # of this many places, batches leave one to people, however many clients send them


@dataclass(frozen=True)
class Sender:
    """Who sent a photo. Photos for which a person waits go before those of batches, and within each of these two
    classes clients take turns.

    :param client: whatever tells one client from another; "" if nobody can.
    :param is_batch: whether a program sent it. Nobody looks at a page until the answer is there.
    """

    client: str = ""
    is_batch: bool = False


ANYBODY = Sender()


def most_places(places: int) -> int:
    """How many of the places in a queue one client may have, at least 1."""
    return max(1, places // SHARE)


def most_of_batches(places: int) -> int:
    """How many of the places in a queue all batches together may have, at least 1."""
    return places - places // KEPT_FOR_PEOPLE
