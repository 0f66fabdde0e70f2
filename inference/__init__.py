"""From the bytes of a photo to a named species. Nothing in here knows Flask or Celery."""

import os
from dataclasses import dataclass, field

# NumPy's products are small here. The threads that OpenBLAS has for large ones keep a core busy while they wait for the
# next, for longer than the network runs. NumPy reads this when it is imported, so nothing here may import it before.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from .regions import Region
from .verdict import Familiarity, Verdict

#: The file names of the model pair, which training writes and the app reads.
MODEL_FILE = "bird_classify_finetune_IV3_final.h5"
LABELS_FILE = "class_indices.npy"
#: What training reports about the pair: for programs, and for people.
CARD_FILE = "model_card.json"
REPORT_FILE = "report.html"

#: The folder beside those of the labels for pictures of none of them.
OTHER_FOLDER = "_other"

IMAGE_SIZE = 224  # pixels, both sides of the square that the network takes
PICTURE_SIDE = 8 * IMAGE_SIZE  # pixels, the longer side at most of the picture in which the network searches for birds
MAX_PIXELS = 52_000_000  # cameras sold as "50 megapixels" have up to 51.3 million. The default of a setting
CANDIDATES = 5  # species in an Identification
MIN_SIDE = 16  # pixels; anything thinner is a line or a tracking pixel, not a bird

MAX_WAITING = 32  # photos that may wait behind the one being classified. The default of a setting


@dataclass(frozen=True)
class Candidate:
    """A species that the photo may show.

    :param label: the species.
    :param confidence: the network's probability for it, 0 to 1.
    """

    label: str
    confidence: float


@dataclass(frozen=True)
class Identification:
    """The network's answer for one photo.

    :param label: the most likely species.
    :param confidence: its probability, 0 to 1.
    :param candidates: the ``CANDIDATES`` most likely species, most likely first; fewer if the model has fewer classes.
    :param model: the SHA-256 of the ``.h5`` file.
    :param seconds: the time that the network took.
    :param region: the part of the photo that the answer is about; None if it is the whole photo.
    :param activation: the class activation map of ``label`` over the region: rows from top to bottom of what each place
        adds to its score, as shares of the largest, 0 to 1; empty if the network has none.
    :param others: what it says about other birds that it found in the photo, the surest first; they have no others.
    :param wants_closer_look: the network is not sure, and ``classify`` may find a small bird if it is given a picture.
    :param verdict: how far the answer can be trusted; None if the pair was not calibrated for that.
    :param likely: how many of the candidates, from the first, it takes to be right in 95 of 100 such answers.
    :param familiarity: what the verdict rests on; None as above.
    """

    label: str
    confidence: float
    candidates: tuple[Candidate, ...]
    model: str = ""
    seconds: float = field(default=0.0, compare=False)
    region: Region | None = None
    activation: tuple[tuple[float, ...], ...] = ()
    others: tuple["Identification", ...] = ()
    wants_closer_look: bool = False
    verdict: Verdict | None = None
    likely: int = 1
    familiarity: Familiarity | None = None
