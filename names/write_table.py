"""Write the table of birds' names from a CSV file: ``python -m names.write_table bird_names.csv``."""

import csv
import lzma
import sys
from pathlib import Path

from .languages import ENGLISH, LANGUAGES
from .table import FILE

COLUMNS = ("english", "scientific", "family", "order", *(code for code in LANGUAGES if code != ENGLISH))

#: Without these, the file would depend on what is the default of the machine's liblzma.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "pb": 0}]


def write_table(source: Path, target: Path = FILE) -> int:
    """Write the table; the same source gives the same bytes.

    :param source: a CSV file in UTF-8 with the columns ``COLUMNS``; others are left out.
    :return: how many species there are.
    :raises ValueError: a column is missing, or a cell holds a tab or a line break.
    """
    with source.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    if missing := set(COLUMNS) - set(reader.fieldnames or ()):
        raise ValueError(f"{source} lacks the columns {', '.join(sorted(missing))}.")
    lines = ["\t".join([column, *(row[column] for row in rows)]) for column in COLUMNS]
    if any(line.count("\t") != len(rows) or "\n" in line for line in lines):
        raise ValueError(f"{source} holds a cell with a tab or a line break.")
    target.write_bytes(lzma.compress("\n".join(lines).encode(), filters=_FILTERS))
    return len(rows)


if __name__ == "__main__":
    print(f"{FILE.name}: {write_table(Path(sys.argv[1]))} species, {FILE.stat().st_size / 1e3:.0f} kB")
