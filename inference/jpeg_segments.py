"""The segments of a JPEG file (ITU-T T.81, annex B), and mistakes in them that cost no image data.

Decoders warn of these mistakes as they warn of damage. They are put right first, so that a warning means damage.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from .errors import DamagedError

END, SCAN, APP0, APP14 = 0xD9, 0xDA, 0xE0, 0xEE
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
TABLES = (0xC4, 0xDB)  # DHT and DQT
SEQUENTIAL = (0xC0, 0xC1, 0xC9)
COEFFICIENTS = 64  # of a block
STRAY = 2  # bytes before the end marker, which some cameras leave there; more are the rest of a damaged image
TEXT = bytes(range(0x80))
LONG_TEXT = 12  # bytes; so many bytes of image data have all their highest bits clear once in 4,096 times
LOOKAHEAD = 8  # bytes that a decoder reads beyond the image data without reporting them, at most

_MARKER = re.compile(rb"\xff([^\0\1\xd0-\xd7\xff])")  # of a segment: no stuffed byte, TEM, RST or fill byte


class Segment(NamedTuple):
    """A segment of a file.

    :param marker: the second byte of its marker.
    :param start: where the marker begins.
    :param end: where its parameters end; image data follow if it is a scan.
    """

    marker: int
    start: int
    end: int


def segments_of(content: bytes) -> Iterator[Segment]:
    """The segments up to the end marker of the image; the file may go on with other images.

    Bytes between two segments that are not image data are skipped, as decoders do.
    """
    position = 2
    while match := _MARKER.search(content, position):
        marker, position = match[1][0], match.end()
        if marker != END:
            position += max(2, int.from_bytes(content[position : position + 2]))
        yield Segment(marker, match.start(), position)
        if marker == END:
            return


def tidied(content: bytes) -> bytes:
    """A JPEG whose header has no stray bytes, and where it has impossible values, those that every decoder assumes.

    Stray bytes behind a table stay there, to be reported: they are the end of a table that has been shifted.
    """
    header = []
    for segment in segments_of(content):
        header.append(segment)
        if segment.marker == SCAN:
            break
    frame = next((content[start:end] for marker, start, end in header if marker in FRAMES), b"")
    if len(frame) < 10:
        return content
    tidy, previous = [content[:2]], Segment(0, 0, 2)
    for segment in header:
        if previous.marker in TABLES:
            tidy.append(content[previous.end : segment.start])
        tidy.append(_corrected(segment.marker, content[segment.start : segment.end], frame))
        previous = segment
    if content[: previous.end] == b"".join(tidy):
        return content  # a copy would take memory
    return b"".join([*tidy, content[previous.end :]])


def _corrected(marker: int, data: bytes, frame: bytes) -> bytes:
    """A segment with its impossible values replaced.

    :param data: the segment, with its marker.
    :param frame: the segment that says how the image is coded, with its marker.
    """
    if marker == SCAN and frame[1] in SEQUENTIAL:  # phones of Samsung write 0, 0, 0
        return data[:-3] + bytes((0, COEFFICIENTS - 1, 0))
    if marker == APP0 and data[4:9] == b"JFIF\0" and data[9:10] != b"\1":  # the version
        return data[:9] + b"\1\1" + data[11:]
    if marker == APP14 and data[4:9] == b"Adobe" and data[15:16] > b"\2":  # the color transform
        return data[:15] + (b"\2" if frame[9] == 4 else b"\1") + data[16:]
    return data


def without_padding(content: bytes, count: int) -> bytes:
    """A JPEG without bytes before its end marker that the decoder has not needed, and without what lies behind it.

    A decoder needs a different number of them with each length, so the next one may report some again.

    :param count: how many bytes the decoder reports.
    :raises DamagedError: they may be image data: they are more than ``STRAY``, and neither one value repeated nor text,
        or the bytes that the decoder has needed end in the same way; or scans are missing.
    """
    data = content[: list(segments_of(content))[-1].start]
    kinds = [data[-1:], TEXT] if count >= LONG_TEXT else [data[-1:]]
    runs = [len(data) - len(data.rstrip(kind)) for kind in kinds]
    if count > STRAY and not any(count <= run <= count + LOOKAHEAD for run in runs):
        raise DamagedError
    return with_end_marker(data[:-count])


def with_end_marker(content: bytes) -> bytes:
    """A JPEG with the end marker that it lacks.

    :raises DamagedError: scans are missing, too.
    """
    if not _has_all_scans(content):
        raise DamagedError
    return content + bytes((0xFF, END))


def _has_all_scans(content: bytes) -> bool:
    """Whether the scans send every bit of every coefficient: the last ones make a progressive image sharp."""
    missing: set[tuple[int, int]] = set()
    for marker, start, end in segments_of(content):
        if marker in FRAMES:
            components = content[start + 10 : end : 3]
            missing = {(component, each) for component in components for each in range(COEFFICIENTS)}
        elif marker == SCAN and content[end - 1] & 0x0F == 0:  # down to the lowest bit
            components = content[start + 5 : end - 3 : 2]
            coefficients = range(content[end - 3], content[end - 2] + 1)
            missing -= {(component, each) for component in components for each in coefficients}
    return not missing
