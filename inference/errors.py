"""The errors of this package, and the sentence that a refused file gets."""

from . import MIN_SIDE
from .sentences import Sentence

MAX_REASON = 300  # characters of what a library says of an error


class PairError(ValueError):
    """The model pair cannot be used; the message is one line: which file, what is wrong, what to do."""


class PhotoError(ValueError):
    """A file cannot be used as a photo; the message is a sentence for the person who sent it."""


class NotAnImageError(PhotoError):
    """The file does not begin like an image of an accepted format."""

    def __init__(self) -> None:
        super().__init__(Sentence("The file is not a picture. Please choose another one."))


class DamagedError(PhotoError):
    """The file begins like an image, but is not a whole one."""

    def __init__(self) -> None:
        super().__init__(Sentence("The picture is damaged or cut short. Please choose another one."))


class TooManyPixelsError(PhotoError):
    """The image has more than ``limit`` pixels."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            Sentence(
                "The picture has more than %(millions)s million pixels. Please send a smaller one.",
                millions=limit / 1e6,
            )
        )


class TooThinError(PhotoError):
    """A side of the image has fewer than ``MIN_SIDE`` pixels."""

    def __init__(self) -> None:
        super().__init__(
            Sentence(
                "The picture is less than %(pixels)s pixels wide or high. Please send a larger one.", pixels=MIN_SIDE
            )
        )


class TooCostlyError(PhotoError):
    """Decoding the file takes more memory or time than one photo may take."""

    def __init__(self) -> None:
        super().__init__(Sentence("The picture takes too much memory or time to read. Please send a smaller one."))


class UnreadableError(PhotoError):
    """A file of this machine cannot be opened; ``reason`` is the operating system's."""

    def __init__(self, reason: str) -> None:
        super().__init__(Sentence("The file cannot be read: %(reason)s.", reason=reason))


def first_line(message: object) -> str:
    """The first line of an error message, cut and without control characters: it may quote the file."""
    lines = map(printable, str(message).splitlines())
    return next((line[:MAX_REASON] for line in lines if line.strip()), type(message).__name__)


def printable(text: str) -> str:
    """A text without control characters, which could steer a terminal, and without marks that reverse it."""
    return "".join(filter(str.isprintable, text))
