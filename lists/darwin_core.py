"""Darwin Core: a CSV file of occurrences, with a header of terms (https://dwc.tdwg.org/terms/).

An occurrence is a species on a checklist, the checklist is its event. Whoever reads it learns from
``identificationVerificationStatus`` and ``identifiedBy`` that a machine named the species and that nobody checked it.
"""

import csv
import io
import math
import uuid
from collections.abc import Iterable
from datetime import date

from names.labels import LabelName

from .checklists import Checklist, Sighting
from .csv_export import defused
from .record import Record

TERMS = (
    "occurrenceID",
    "basisOfRecord",
    "occurrenceStatus",
    "individualCount",
    "eventID",
    "eventDate",
    "eventTime",
    "locality",
    "decimalLatitude",
    "decimalLongitude",
    "geodeticDatum",
    "coordinateUncertaintyInMeters",
    "kingdom",
    "class",
    "order",
    "family",
    "genus",
    "scientificName",
    "taxonRank",
    "vernacularName",
    "identifiedBy",
    "dateIdentified",
    "identificationVerificationStatus",
    "identificationRemarks",
    "associatedMedia",
)
NOT_VERIFIED = "unverified: named by a machine, checked by nobody"

#: The namespace of occurrence IDs. It must stay, or the same photo would become another occurrence.
NAMESPACE = uuid.UUID("9b423b03-a2b9-4f80-886e-5ea815df91af")


def can_be_listed(sighting: Sighting) -> bool:
    """Whether it has what an occurrence requires: a scientific name."""
    return bool(sighting.surest.name.scientific)


def text(checklists: Iterable[Checklist], today: date, language: str, locality: str = "") -> str:
    """The text of the file. Sightings that have no scientific name are left out.

    :param today: when the photos were identified.
    :param language: of ``vernacularName``.
    :param locality: what the person calls the place.
    """
    lines = io.StringIO()
    writer = csv.DictWriter(lines, TERMS, restval="")
    writer.writeheader()
    for checklist in checklists:
        where = _event(checklist, locality)
        for sighting in filter(can_be_listed, checklist.sightings):
            identified = identification(sighting.surest, language) | {"dateIdentified": today.isoformat()}
            writer.writerow(where | _occurrence(sighting) | identified)
    return lines.getvalue()


def identification(record: Record, language: str) -> dict[str, str]:
    """The cells about the species and who named it, without the date; ``darwin_core.js`` gets them with each card.

    :param language: of ``vernacularName``.
    """
    return _taxon(record.name, language) | {
        "identifiedBy": f"machine: model {record.model[:12]}",
        "identificationVerificationStatus": NOT_VERIFIED,
        "identificationRemarks": f"Named by an image classifier with a confidence of {record.confidence:.4f}.",
    }


def _event(checklist: Checklist, locality: str) -> dict[str, str]:
    started, place = checklist.started, checklist.place
    coordinates = [f"{place.latitude:.5f}", f"{place.longitude:.5f}"] if place else []
    cells = {"locality": defused(locality)}
    if started:
        day = started.date().isoformat()
        cells |= {"eventDate": day, "eventID": ":".join([day, *coordinates])}
    if place:
        cells |= {"decimalLatitude": coordinates[0], "decimalLongitude": coordinates[1], "geodeticDatum": "EPSG:4326"}
    if place and place.uncertainty:
        cells["coordinateUncertaintyInMeters"] = str(math.ceil(place.uncertainty))
    return cells


def _occurrence(sighting: Sighting) -> dict[str, str]:
    first = sighting.records[0]
    taken = first.photo.taken
    return {
        "occurrenceID": str(uuid.uuid5(NAMESPACE, f"{first.photo.sha256}:{first.taxon}")),
        "basisOfRecord": "HumanObservation",  # a person took the photo
        "occurrenceStatus": "present",
        "individualCount": str(sighting.count),
        "eventTime": taken.time().isoformat("seconds") if taken else "",
        "associatedMedia": defused(" | ".join(sighting.files)),
    }


def _taxon(name: LabelName, language: str) -> dict[str, str]:
    words = name.scientific.split()
    family, order = (name.species.family, name.species.order) if name.species else ("", "")
    rank = {1: "family" if name.scientific == family else "genus", 2: "species"}.get(len(words), "subspecies")
    is_bird = bool(family or order)  # of the table of birds, rather than of a maker's own list
    return {
        "kingdom": "Animalia" if is_bird else "",
        "class": "Aves" if is_bird else "",
        "order": order,
        "family": family,
        "genus": "" if rank == "family" else defused(words[0]),
        "scientificName": defused(name.scientific),
        "taxonRank": rank,
        "vernacularName": defused(name.name_in(language)),
    }
