"""``names.csv`` beside the model pair: what its maker says of its labels, which counts more than the table."""

import csv
import io
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from .languages import ENGLISH, LANGUAGES
from .species import Species

OWN_FILE = "names.csv"
MAX_SIZE = 16 * 2**20  # bytes; 10,000 labels in all languages take about 5 MB

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OwnLine:
    """What the maker says of one label.

    :param scientific: name of the species; empty if the maker gives none.
    :param names: of the species, by languages.
    """

    scientific: str
    names: Mapping[str, str]

    def species(self, before: Species | None, readable: str) -> Species | None:
        """The species of the label.

        :param before: what the table says of it.
        :param readable: the label as a name for people, which is its English name if nothing else is known.
        :return: None if the maker gives no name at all, which says that the label means no species of the table.
        """
        if not self.scientific and not self.names:
            return None
        before = before or Species(readable, self.scientific)
        others = {code: name for code, name in self.names.items() if code != ENGLISH}
        return replace(before, english=self.names.get(ENGLISH, before.english), names={**before.names, **others})


OwnNames = Mapping[str, OwnLine]


def read_own_names(file: Path, labels: Collection[str]) -> OwnNames:
    """What the maker says of labels; whatever is wrong in the file is logged in one line and left out.

    :param file: a CSV file in UTF-8 with the column ``label``, and any of ``scientific`` and the codes of languages.
    """
    if not file.exists():
        return {}
    try:
        if file.stat().st_size > MAX_SIZE:
            raise ValueError(f"it is larger than {MAX_SIZE // 2**20} MB")
        own, faults = _read(file.read_text(encoding="utf-8-sig"), set(labels))
    except UnicodeDecodeError:
        own, faults = {}, ["it is not in UTF-8"]
    except OSError as error:
        own, faults = {}, [error.strerror or str(error)]
    except (ValueError, csv.Error) as error:
        own, faults = {}, [str(error)]
    if faults:
        used = f"{len(own)} of its labels are used" if own else "it is not used"
        log.warning("%s: %s; %s.", file, "; ".join(faults), used)
    return own


def _read(text: str, labels: Collection[str]) -> tuple[dict[str, OwnLine], list[str]]:
    """The lines about labels of the model, and what is wrong in the file.

    :raises ValueError: it has no column for the labels.
    """
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)  # spreadsheets write semicolons where numbers have commas
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restval="")
    columns = reader.fieldnames or []
    if "label" not in columns:
        raise ValueError("it has no column named label")
    own: dict[str, OwnLine] = {}
    strange, twice = [], []
    for line in reader:
        label = line["label"].strip()
        names = {code: line[code].strip() for code in LANGUAGES if code in columns and line[code].strip()}
        if label not in labels:
            strange.append(label)
        elif label in own:
            twice.append(label)
        else:
            own[label] = OwnLine(" ".join(line.get("scientific", "").split()), names)
    unknown = [column for column in columns if column and column not in ("label", "scientific", *LANGUAGES)]
    faults = [
        _fault(unknown, "column that is no language", "columns that are no language"),
        _fault(strange, "label that the model does not have", "labels that the model does not have"),
        _fault(twice, "label that is there twice", "labels that are there twice"),
    ]
    return own, [fault for fault in faults if fault]


def _fault(names: list[str], one: str, several: str) -> str:
    if not names:
        return ""
    return f"{len(names)} {one if len(names) == 1 else several} (such as {names[0]!r:.80})"
