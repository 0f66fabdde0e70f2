"""Post damaged files of every format to the app, and print what happened: python -m tests.support.fuzz 50000

The app has a small network, so that most of the time goes into decoding. The same seed makes the same files.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import servers
from .drawings import draw_goldfinch, encoded
from .photographs import animated, display_p3, exif, interlaced, sixteen_bit
from .servers import SMALL_NETWORK

SAMPLED_EVERY = 20  # files: how often memory is measured


@dataclass
class Fuzzing:
    """What happened to the files. Memory is in bytes, that of the decoder process included; times are in seconds."""

    sent: int = 0
    answered: int = 0  # 200
    refused: int = 0  # 302, back to the form with a sentence
    others: dict[int, int] = field(default_factory=dict)  # by status
    left: list[str] = field(default_factory=list)  # in uploads/
    memory_before: int = 0
    memory_after: int = 0
    peak_memory: int = 0
    slowest: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.sent} sent: {self.answered} answered, {self.refused} refused, {self.others or 'none'} other; "
            f"{len(self.left)} left in uploads/; memory {self.memory_before / 1e6:.0f} MB before, "
            f"{self.memory_after / 1e6:.0f} MB after, {self.peak_memory / 1e6:.0f} MB at most; "
            f"slowest answer {self.slowest:.2f} s"
        )


def files_of_each_format() -> list[tuple[str, bytes]]:
    """Small files that are not damaged, with their names."""
    image = draw_goldfinch(96, 72)
    return [
        ("bird.jpg", encoded(image, "JPEG", exif=exif(6), icc_profile=display_p3(), comment=b"bird")),
        ("bird.jpg", encoded(image, "JPEG", progressive=True)),
        ("bird.jpg", encoded(image.convert("CMYK"), "JPEG")),
        ("bird.jpg", animated("MPO", 2)),
        ("bird.png", encoded(image, "PNG", exif=exif(3), icc_profile=display_p3())),
        ("bird.png", encoded(image.quantize(16), "PNG", transparency=3)),
        ("bird.png", sixteen_bit(6)),
        ("bird.png", interlaced()),
        ("bird.gif", encoded(image.quantize(16), "GIF")),
        ("bird.gif", animated("GIF", 3)),
        ("bird.webp", encoded(image, "WEBP", exif=exif(8), icc_profile=display_p3())),
        ("bird.webp", encoded(image.convert("RGBA"), "WEBP", lossless=True)),
        ("bird.webp", animated("WEBP", 3)),
        ("bird.heic", encoded(image, "HEIF", exif=exif(5))),
        ("bird.heic", encoded(image.resize((200, 150)), "HEIF", tile_size=64)),
        ("bird.avif", encoded(image, "AVIF", exif=exif(7))),
        ("bird.avif", animated("AVIF", 3)),
    ]


def damaged(content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """A file with one to three defects.

    :param others: files of which parts may be taken.
    """
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = rng.choice((_flip, _flip, _cut, _splice, _wrong_length, _wrong_length, _repeat))(content, others, rng)
    return content


def _position(content: bytes, rng: random.Random) -> int:
    """Anywhere in a file; half of the time in its head, where lengths and sizes are."""
    return rng.randrange(min(len(content), 400) if rng.random() < 0.5 else len(content)) if content else 0


def _flip(content: bytes, _others: list[bytes], rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 10))):
        if changed:
            changed[_position(changed, rng)] = rng.randrange(256)
    return bytes(changed)


def _cut(content: bytes, _others: list[bytes], rng: random.Random) -> bytes:
    start = _position(content, rng)
    return content[:start] if rng.random() < 0.5 else content[:start] + content[start + rng.randrange(1, 200) :]


def _splice(content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    other = rng.choice(others)
    return content[: _position(content, rng)] + other[_position(other, rng) :]


def _wrong_length(content: bytes, _others: list[bytes], rng: random.Random) -> bytes:
    size = rng.choice((1, 2, 4, 8))
    value = rng.choice((0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), rng.randrange(2 ** (8 * size))))
    start = _position(content, rng)
    return content[:start] + value.to_bytes(size, rng.choice(("big", "little"))) + content[start + size :]


def _repeat(content: bytes, _others: list[bytes], rng: random.Random) -> bytes:
    start = _position(content, rng)
    return content[:start] + content[start : start + rng.randrange(1, 300)] * rng.choice((2, 50)) + content[start:]


def _damaged_files(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    rng = random.Random(seed)
    files = files_of_each_format()
    contents = [content for _name, content in files]
    for number in range(count):
        name, content = files[number % len(files)]
        yield name, damaged(content, contents, rng)


def fuzz(count: int, seed: int, uploads: Path) -> Fuzzing:
    """Start the app and post damaged files to it, one after the other."""
    found = Fuzzing()
    with servers.running(servers.FLASK, uploads, **SMALL_NETWORK) as address:
        for name, content in files_of_each_format():
            servers.post_photo(address, content, name)
        found.memory_before = found.peak_memory = servers.memory_at(address)
        for name, content in _damaged_files(count, seed):
            begun = time.perf_counter()
            status = servers.send_photo(address, content, name).status
            found.slowest = max(found.slowest, time.perf_counter() - begun)
            found.sent += 1
            if status == 200:
                found.answered += 1
            elif status == 302:
                found.refused += 1
            else:
                found.others[status] = found.others.get(status, 0) + 1
            if found.sent % SAMPLED_EVERY == 0:
                found.peak_memory = max(found.peak_memory, servers.memory_at(address))
        found.memory_after = servers.memory_at(address)
        found.left = [path.name for path in uploads.iterdir()]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(fuzz(arguments.count, arguments.seed, Path(folder)))


if __name__ == "__main__":
    main()
