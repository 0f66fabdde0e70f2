"""The servers that are compared: the plain recipe, the app with TensorFlow, and the app as it is."""

import contextlib
import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tests.support import servers

from .table import APP, NAMES, PLAIN, TENSORFLOW

BLOCK = 10  # answers of one server before it is the next one's turn

#: As it was before there were compiled networks.
WITH_TENSORFLOW = {"BIRD_ENGINE": "tensorflow", "BIRD_PRECISION": "float32"}
SETTINGS: dict[str, dict[str, str]] = {PLAIN: {}, TENSORFLOW: WITH_TENSORFLOW, APP: {}}
COMMANDS = dict.fromkeys(NAMES, servers.GUNICORN) | {
    PLAIN: [*servers.GUNICORN[:-1], "benchmarks.plain_recipe:application"]
}

#: The whole photo. To the part of a photo that somebody chose, the network does not look closer.
WITHOUT_CLOSER_LOOK = "/?crop=0,0,1,1"

Addresses = Mapping[str, str]
Measurement = TypeVar("Measurement")


@contextlib.contextmanager
def served(name: str, folder: Path) -> Iterator[str]:
    """Run a server, without showing what it prints; its address."""
    with (
        open(folder / f"{name}.log", "w") as log,
        servers.running(COMMANDS[name], folder / name, output=log, **SETTINGS[name]) as address,
    ):
        yield address


@contextlib.contextmanager
def all_served(folder: Path) -> Iterator[Addresses]:
    """Run all of them; the address of each."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(served(name, folder)) for name in NAMES}


def engine_at(address: str) -> str:
    """What runs the network of an app, in a few words."""
    with urllib.request.urlopen(f"{address}/api/v1/model") as answer:
        engine = json.load(answer)["engine"]
    return f"{engine['name']}, {engine['precision']}"


def is_found_by_a_closer_look(address: str, content: bytes) -> bool:
    """Whether an app names the bird in a part of the photo: only a closer look finds such a part."""
    request = urllib.request.Request(f"{address}/api/v1/identifications", content, {"Content-Type": "image/jpeg"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["region"] is not None


def milliseconds(address: str, content: bytes, path: str = "/") -> float:
    """The time of one answer.

    :param path: ``/``, or ``WITHOUT_CLOSER_LOOK``.
    """
    begun = time.perf_counter()
    answer = servers.send_photo(address, content, path=path)
    took = 1000 * (time.perf_counter() - begun)
    if answer.status != 200 or "Predicted : " not in answer.page:
        raise RuntimeError(f"{address} answered {answer.status}")
    return took


def block(address: str, content: bytes, path: str = WITHOUT_CLOSER_LOOK) -> list[float]:
    """The milliseconds of each of ``BLOCK`` answers."""
    return [milliseconds(address, content, path) for _ in range(BLOCK)]


def in_turn(work: Mapping[str, Callable[[], Sequence[Measurement]]], rounds: int) -> dict[str, list[Measurement]]:
    """What each gives, one after the other, so many times: a machine that becomes slower slows all of them."""
    found: dict[str, list[Measurement]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, do in work.items():
            found[name] += do()
    return found
