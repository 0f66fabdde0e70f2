"""From the bytes of a photograph to a named species; knows nothing of Flask or Celery."""

from dataclasses import dataclass, field

#: The file names of the model pair; training writes them, the app reads them.
MODEL_FILE = "bird_classify_finetune_IV3_final.h5"
LABELS_FILE = "class_indices.npy"
#: What training says of the pair, for programs and for people.
CARD_FILE = "model_card.json"
REPORT_FILE = "report.html"

IMAGE_SIZE = 224  # pixels, both sides of the square that the network sees
MAX_PIXELS = 50_000_000  # ~ a 50 MP camera; larger is refused before decoding, unless told otherwise
CANDIDATES = 5  # how many species an Identification lists
MIN_SIDE = 16  # pixels; thinner is a line or a tracking pixel, not a bird

#: Photographs that may wait behind the one that is being identified, unless told otherwise.
MAX_WAITING = 32


class PairError(ValueError):
    """The model pair cannot be used; the message is one line: which file, what is wrong, what to do."""


@dataclass(frozen=True)
class Candidate:
    """One species that the photograph may show.

    :param label: the species.
    :param confidence: softmax, 0 to 1.
    """

    label: str
    confidence: float


@dataclass(frozen=True)
class Identification:
    """What the network says of one photograph.

    :param label: the likeliest species.
    :param confidence: its softmax, 0 to 1.
    :param candidates: the five likeliest species, descending; fewer if the model knows fewer.
    :param model: the SHA-256 of the network's file.
    :param seconds: what the network took.
    """

    label: str
    confidence: float
    candidates: tuple[Candidate, ...]
    model: str = ""
    seconds: float = field(default=0.0, compare=False)
