"""A bird for the lists: a species in a photo that the model is sure of, with when and where it was photographed."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from inference import Identification
from inference.exif import Place
from inference.verdict import Verdict
from names.labels import LabelName, Names
from names.languages import ENGLISH


@dataclass(frozen=True, eq=False)  # two photos may have the same name
class PhotoFacts:
    """What is known of a photo besides what it shows.

    :param file: its name, without folders.
    :param sha256: of the file; only ``darwin_core`` needs it.
    :param taken: when, by the clock of the camera.
    :param place: where, if the person wants that in the lists.
    """

    file: str
    sha256: str = ""
    taken: datetime | None = None
    place: Place | None = None


@dataclass(frozen=True)
class Record:
    """A species in a photo.

    :param name: what is known of its label.
    :param confidence: of the surest answer, 0 to 1.
    :param count: how many of them the photo shows, at least.
    :param model: the SHA-256 of the model that named it.
    """

    photo: PhotoFacts
    name: LabelName
    confidence: float
    count: int
    model: str

    @property
    def english(self) -> str:
        """The English name, or the readable label."""
        return self.name.name_in(ENGLISH)

    @property
    def taxon(self) -> str:
        """What it is counted by: two labels, such as those of two plumages, may mean one species."""
        return _taxon(self.name)


def records_of(found: Identification, names: Names, photo: PhotoFacts) -> Iterator[Record]:
    """The species in a photo whose verdict is ``sure``: none if the model was not calibrated, and gives no verdicts.

    :param found: the answer; other birds in the photo count, too.
    """
    answers: dict[str, list[Identification]] = defaultdict(list)
    for each in (found, *found.others):
        if each.verdict is Verdict.SURE:
            answers[_taxon(names[each.label])].append(each)
    for alike in answers.values():
        surest = max(alike, key=lambda answer: answer.confidence)
        yield Record(photo, names[surest.label], surest.confidence, len(alike), found.model)


def _taxon(name: LabelName) -> str:
    return name.scientific or name.name_in(ENGLISH)
