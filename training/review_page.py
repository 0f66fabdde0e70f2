"""The page on which somebody decides about doubtful labels. It needs no other file and no network."""

import base64
from dataclasses import dataclass
from pathlib import Path

import jinja2

from inference.photo import open_photo

from .label_decisions import DECISIONS_FILE, Choice, Decision

SUSPECT_SIZE = 280  # pixels, the longer side at most
COMPARED_SIZE = 128  # pixels, the longer side at most


@dataclass(frozen=True)
class Doubt:
    """A photo whose label is in doubt.

    :param key: its path, as it is written in the file of decisions.
    :param own: probability of its label, 0 to 1.
    :param other: probability of the label that it looks like, 0 to 1.
    :param of_label: photos of its label that are most like it.
    :param of_other: photos of the label that it looks like.
    """

    path: Path
    key: str
    label: str
    looks_like: str
    own: float
    other: float
    of_label: list[Path]
    of_other: list[Path]


def write_review_page(
    page: Path, doubts: list[Doubt], found: int, labels: list[str], earlier: list[Decision], save_as: Path
) -> None:
    """Write the page, replacing an old one as a whole: a reader never sees half of it.

    :param doubts: those to show, the worst first.
    :param found: how many there are in all.
    :param labels: those that a photo may be given.
    :param earlier: decisions that the file that the page saves repeats.
    :param save_as: where training looks for that file.
    """
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    text = templates.get_template("review.html").render(
        doubts=doubts,
        found=found,
        labels=labels,
        earlier=[[decision.path, decision.choice, decision.label] for decision in earlier],
        file_name=DECISIONS_FILE,
        save_as=save_as,
        choices=Choice,
        small_copy=small_copy,
        SUSPECT_SIZE=SUSPECT_SIZE,
        COMPARED_SIZE=COMPARED_SIZE,
    )
    new = page.with_suffix(".new.html")
    new.write_text(text, encoding="utf-8", errors="backslashreplace")  # a name may hold bytes that are not text
    new.replace(page)


def small_copy(path: Path, size: int) -> str:
    """A small copy of a photo, as the ``src`` of an ``<img>``.

    :param size: pixels, the longer side at most.
    """
    return f"data:image/jpeg;base64,{base64.b64encode(open_photo(path).thumbnail(size)).decode('ascii')}"
