"""The table that the benchmarks print, in Markdown: three things side by side."""

import statistics
from collections.abc import Mapping, Sequence

PLAIN, TENSORFLOW, APP = "plain recipe", "with TensorFlow", "this app"
NAMES = (PLAIN, TENSORFLOW, APP)

Values = Mapping[str, Sequence[float]]  # the measurements of each of NAMES; one that is missing was not measured


def head() -> None:
    """Print the head of the table."""
    row("what", *NAMES, f"{APP} : {PLAIN}", f"{APP} : {TENSORFLOW}")
    row(*["---"] * 6)


def row(*cells: str) -> None:
    """Print a row; the cells that are missing at its end are empty."""
    print("|", " | ".join([*cells, *[""] * (6 - len(cells))]), "|", flush=True)


def compare(what: str, values: Values, unit: str = "ms", word: str = "as fast") -> None:
    """Print a row of measurements.

    :param word: ``as fast`` for times; ``as many`` for rates; ``as much`` for sizes.
    """
    row(what, *(spread(values[name], unit) if values.get(name) else "" for name in NAMES), *ratios(values, word))


def ratios(values: Values, word: str = "as fast") -> list[str]:
    """How the app compares with each of the others, by medians; empty where one of the two was not measured."""
    app = values.get(APP)
    return [_ratio(app, values[name], word) if app and values.get(name) else "" for name in (PLAIN, TENSORFLOW)]


def _ratio(app: Sequence[float], other: Sequence[float], word: str) -> str:
    times = statistics.median(app) / statistics.median(other)
    return f"{1 / times if word == 'as fast' else times:.2f} times {word}"


def spread(values: Sequence[float], unit: str = "ms") -> str:
    """Median, minimum and maximum."""
    digits = 0 if statistics.median(values) >= 20 else 2
    return f"{statistics.median(values):.{digits}f} {unit} ({min(values):.{digits}f} to {max(values):.{digits}f})"
