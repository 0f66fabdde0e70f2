"""Sentences for people, in English, which the pages show in the language of their reader."""

from collections.abc import Mapping
from typing import Any, Self


class Sentence(str):
    """A sentence as a ``str`` in English, which still knows of what it was made, so that it can be translated.

    ``make translations`` collects the texts from the source, so they must stand in the call as literals.

    :param text: the sentence, with ``%(name)s`` where a value stands. Only a text with values writes % as ``%%``.
    :param many: the text for every ``num`` but 1, if the sentence counts something.
    :param values: what stands in the text; numbers and other sentences are shown in the reader's language, too.
    """

    text: str
    many: str
    values: Mapping[str, Any]

    def __new__(cls, text: str, many: str = "", **values: Any) -> Self:
        chosen = many if many and values["num"] != 1 else text
        shown = {name: f"{value:g}" if isinstance(value, float) else value for name, value in values.items()}
        made = super().__new__(cls, chosen % shown if values else chosen)
        made.text, made.many, made.values = text, many, values
        return made

    def given(self, **values: Any) -> Self:
        """The same sentence with its values, for one that is a constant."""
        return type(self)(self.text, self.many, **values)

    def to_json(self) -> list[Any]:
        """What ``from_json`` makes the same sentence of."""
        values = {name: v.to_json() if isinstance(v, Sentence) else v for name, v in self.values.items()}
        return [self.text, self.many, values]

    @classmethod
    def from_json(cls, parts: list[Any]) -> Self:
        """The sentence of which ``to_json`` has made this; no value is a list otherwise."""
        text, many, values = parts
        return cls(text, many, **{name: cls.from_json(v) if isinstance(v, list) else v for name, v in values.items()})


def counted(one: str, many: str, num: int, **values: Any) -> Sentence:
    """A sentence that counts something.

    :param one: its text for 1.
    :param many: its text for every other number, with ``%(num)s`` where it stands.
    """
    return Sentence(one, many, num=num, **values)


def sentence_of(error: Exception) -> str:
    """The message of an exception, as the ``Sentence`` that it was made of: ``str`` would make plain English of it."""
    message = error.args[0] if error.args else ""
    return message if isinstance(message, str) else str(error)
