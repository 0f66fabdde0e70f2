"""Sentences, numbers and dates in the language of the page."""

from collections.abc import Sequence
from copy import copy
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from babel.core import Locale
from babel.dates import format_date, format_datetime
from babel.lists import format_list
from babel.numbers import NumberPattern, format_decimal, parse_pattern
from flask import Flask
from flask_babel import gettext, ngettext

from inference.sentences import Sentence

from .languages import page_locale

#: Percentages in English have a space, as in the lines that programs read on the page and on the command line.
ENGLISH_PERCENT = "#,##0 %"


def translated(text: str) -> str:
    """A sentence in the language of the page; any other text as it is."""
    if not isinstance(text, Sentence):
        return text
    values = {name: _shown(value) for name, value in text.values.items() if name != "num"}
    if text.many:
        return ngettext(text.text, text.many, text.values["num"], **values)
    return gettext(text.text, **values)


def _shown(value: Any) -> Any:
    if isinstance(value, float):
        return format_decimal(value, locale=page_locale())
    return translated(value) if isinstance(value, str) else value


def percent(share: float, least: int = 0, most: int | None = None) -> str:
    """A share as a percentage.

    :param share: 0 to 1.
    :param least: decimals that it has at least.
    :param most: decimals that it has at most; by default ``least``.
    """
    locale = page_locale()
    text: str = _percent_pattern(locale, least, least if most is None else most).apply(share, locale)
    return text


@lru_cache
def _percent_pattern(locale: Locale, least: int, most: int) -> NumberPattern:
    pattern = parse_pattern(ENGLISH_PERCENT) if locale.language == "en" else copy(locale.percent_formats[None])
    pattern.frac_prec = (least, most)
    return pattern


def decimal(number: float, decimals: int = 0) -> str:
    """A number with so many decimals."""
    return format_decimal(number, f"#,##0.{'0' * decimals}" if decimals else "#,##0", page_locale())


def mebibytes(size: int) -> str:
    """A number of bytes for people, such as 10 MiB."""
    return f"{format_decimal(size / 2**20, '#,##0.#', page_locale())}\N{NO-BREAK SPACE}MiB"


def long_date(day: date | str) -> str:
    """A day, such as 3 May 2026; the day may be text as in ISO 8601."""
    locale = page_locale()
    day = date.fromisoformat(day) if isinstance(day, str) else day
    return format_date(day, "d MMMM y" if locale.language == "en" else "long", locale)


def date_and_time(moment: datetime) -> str:
    """A moment to the minute, such as 3 May 2026, 14:30."""
    locale = page_locale()
    return format_datetime(moment, "d MMMM y, HH:mm" if locale.language == "en" else "short", locale=locale)


def any_of(names: Sequence[str]) -> str:
    """Names of which one is meant, such as A or B."""
    return format_list(names, "or", page_locale())


def init_app(app: Flask) -> None:
    """Make the filters of this module available in templates."""
    for function in (translated, percent, decimal, mebibytes, long_date, date_and_time, any_of):
        app.add_template_filter(function)
