"""What the page shows of one photo: its answer, its position in the queue, or a sentence that says why it has none."""

import base64
import json
from dataclasses import dataclass, replace
from datetime import datetime

from flask import Flask

from inference import Identification
from jobs.pending import Position
from lists import csv_export, darwin_core, ebird
from lists.record import PhotoFacts, Record, records_of

from . import activation
from .admission import Prediction
from .naming import requested_naming
from .services import current_services
from .wording import translated

NOT_YET = "Not answered yet."


@dataclass(frozen=True)
class ResultCard:
    """What the page shows of one photo.

    :param name: of the file; empty if only one photo was sent.
    :param thumbnail: a JPEG.
    :param taken: when the photo was taken, if the file says so.
    :param seconds: the time that the answer took.
    :param job_id: under which a worker's answer is looked up.
    :param position: in the queue, as long as there is no answer.
    :param sentence: why there will be no answer.
    :param status: the HTTP status that goes with it.
    """

    name: str = ""
    thumbnail: bytes = b""
    taken: datetime | None = None
    identification: Identification | None = None
    seconds: float = 0.0
    job_id: str = ""
    position: Position | None = None
    sentence: str = ""
    status: int = 200

    @property
    def answers(self) -> tuple[Identification, ...]:
        """What is said about each bird that was found in the photo; none as long as there is no answer."""
        first = self.identification
        return (first, *first.others) if first else ()

    @property
    def image(self) -> str:
        """The thumbnail, for a ``data:`` URL."""
        return as_base64(self.thumbnail)

    @property
    def csv_taken(self) -> str:
        """The cell ``taken`` of its row in the CSV list."""
        return csv_export.time_taken(self.taken)

    @property
    def csv_answer(self) -> str:
        """The rest of its row in the CSV list, after ``file`` and ``taken``, as CSV text."""
        return csv_export.as_line(self._answer_cells)

    @property
    def csv_row(self) -> list[str]:
        """Its row in the CSV list."""
        return [self.name, self.csv_taken, *self._answer_cells]

    @property
    def records(self) -> str:
        """What the lists that the page's script writes need of each species that the model is sure of, as JSON.

        Empty if there is none.
        """
        if self.identification is None:
            return ""
        naming = requested_naming()
        first, *others = map(_as_shown, self.answers)
        records = records_of(replace(first, others=tuple(others)), naming.names, PhotoFacts(self.name))
        found = [record_json(record, naming.languages[0]) for record in records]
        return json.dumps(found) if found else ""

    @property
    def _answer_cells(self) -> list[str]:
        if self.identification is None:
            return csv_export.failed(self.sentence or NOT_YET)
        naming = requested_naming()
        name = naming.names[self.identification.label]
        return csv_export.identified(self.identification, name, naming.languages[0])


def card_of_prediction(prediction: Prediction) -> ResultCard:
    """The card of a photo that has been identified."""
    return ResultCard(
        thumbnail=prediction.reading.thumbnail,
        taken=prediction.reading.taken,
        identification=prediction.identification,
        seconds=prediction.total_seconds,
    )


def _as_shown(answer: Identification) -> Identification:
    """An answer that is unsure if the operator wants it so; one without a verdict stays without."""
    return replace(answer, verdict=answer.verdict and current_services().model_info.verdict_on(answer))


def record_json(record: Record, language: str) -> dict[str, object]:
    """What the page's script needs of a species in a photo besides what the photo says.

    :param language: of its name in Darwin Core.
    """
    return {
        "count": record.count,
        "confidence": record.confidence,
        "taxon": record.taxon,
        "ebird": {"species": ebird.species(record), "claim": ebird.claim(record)},
        "darwin_core": darwin_core.identification(record, language) if record.name.scientific else None,
    }


def as_base64(content: bytes) -> str:
    """Base64 as text."""
    return base64.b64encode(content).decode("ascii")


def csv_list(cards: list[ResultCard]) -> str:
    """The CSV list of all photos on a page, in base64."""
    rows = [csv_export.header(), *(card.csv_row for card in cards)]
    return as_base64(csv_export.as_csv(rows).encode(csv_export.ENCODING))


def init_app(app: Flask) -> None:
    """Make the filters of this module available in templates."""
    app.add_template_filter(csv_list)
    app.add_template_filter(lambda shares: as_base64(activation.overlay_png(shares)), "overlay")
    app.add_template_filter(lambda shares, image: translated(activation.in_words(shares, image)), "in_words")
    app.add_template_filter(lambda region: translated(activation.area_of(region)), "area_of")
