"""How fast single answers are: after the start, to photos of several kinds, to many clients, and step by step."""

import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

from tests.support import servers

from . import parts
from .compared import (
    BLOCK,
    WITHOUT_CLOSER_LOOK,
    Addresses,
    block,
    in_turn,
    is_found_by_a_closer_look,
    milliseconds,
    served,
)
from .load import put_load_on
from .photos import small_birds, small_jpeg
from .table import APP, NAMES, TENSORFLOW, compare, row, spread


def starts(folder: Path, rounds: int) -> None:
    """The time from the command to the first page, for each in turn, and the first ten answers after it."""
    content = small_jpeg()
    ready, bare, answered = defaultdict(list), [], defaultdict(list)
    for _ in range(rounds):
        command = [sys.executable, "-m", parts.__name__, parts.start.__name__]
        ended = subprocess.run(command, cwd=servers.ROOT, capture_output=True, text=True, check=True)
        bare.append(float(ended.stdout))
        for name in NAMES:
            begun = time.perf_counter()
            with served(name, folder) as address:
                ready[name].append(time.perf_counter() - begun)
                answered[name].append([milliseconds(address, content) for _ in range(10)])
    compare("time to ready", ready, "s")
    row("— TensorFlow's import, `load_model` and the first traced answer alone", "", spread(bare, "s"))
    firsts, tenths = ({name: [times[n] for times in answered[name]] for name in NAMES} for n in (0, 9))
    compare("first answer", firsts)
    compare("tenth answer", tenths)
    of_tenth = {name: statistics.median(firsts[name]) / statistics.median(tenths[name]) for name in NAMES}
    row("— the first, divided by the tenth", *(f"{of_tenth[name]:.2f}" for name in NAMES))


def warm(addresses: Addresses, name: str, content: bytes, rounds: int) -> None:
    """Answers of each in turn, compared with the floor: the bare decoder and the bare network of the app."""
    with tempfile.NamedTemporaryFile() as file, parts.running("network") as network:
        file.write(content)
        file.flush()
        with parts.running("decode", file.name) as decode:
            work = {each: partial(block, address, content) for each, address in addresses.items()}
            floor = {"decode": partial(decode, BLOCK), "network": partial(network, BLOCK)}
            times = in_turn(work | floor, rounds)
    size = f"{len(content) / 1e6:.1f} MB" if len(content) > 1e5 else f"{len(content) / 1e3:.0f} kB"
    compare(f"answer to a {name} ({size})", times)
    least = [sum(each) for each in zip(times["decode"], times["network"], strict=True)]
    of_least = statistics.median(times[APP]) / statistics.median(least)
    row(
        "— floor: bare decoder and bare compiled network",
        "",
        "",
        f"{spread(least)}; the app takes {of_least:.2f} of it",
    )


def closer_look(addresses: Addresses, rounds: int) -> None:
    """Answers to a large photo with a small bird, which the app finds with either engine."""
    what = "answer to a 12-megapixel JPEG with a small bird, found by a closer look"
    apps = {name: addresses[name] for name in (TENSORFLOW, APP)}
    for content in small_birds():
        if all(is_found_by_a_closer_look(address, content) for address in apps.values()):
            compare(what, in_turn({name: partial(block, apps[name], content, "/") for name in apps}, rounds))
            return
    row(what, "", *["none was found"] * 2)


def rates(addresses: Addresses, content: bytes, clients: int, seconds: float, rounds: int) -> None:
    """Answers a second of each in turn."""

    def measured(address: str) -> list[float]:
        return [put_load_on(address, content, clients, seconds=seconds).rate]

    found = in_turn({name: partial(measured, address) for name, address in addresses.items()}, rounds)
    compare(f"answers a second, {clients} client{'s' if clients > 1 else ''}", found, "/s", "as many")


def steps(addresses: Addresses, name: str, content: bytes, rounds: int) -> None:
    """How long each step of an answer takes, by the app's ``Server-Timing``."""

    def measured(address: str) -> list[dict[str, float]]:
        return [_steps_of_answer(address, content) for _ in range(BLOCK)]

    taken = in_turn({each: partial(measured, addresses[each]) for each in (TENSORFLOW, APP)}, rounds)
    cells = [", ".join(f"{step} {took:.1f}" for step, took in _medians(each).items()) for each in taken.values()]
    row(f"where the time goes, {name}, in ms", "", *cells)


def _steps_of_answer(address: str, content: bytes) -> dict[str, float]:
    """The milliseconds of each step of one answer."""
    begun = time.perf_counter()
    answer = servers.send_photo(address, content, path=WITHOUT_CLOSER_LOOK)
    whole = 1000 * (time.perf_counter() - begun)
    found = re.findall(r"(\w+);dur=([\d.]+)", answer.headers["Server-Timing"])
    times = {step: float(took) for step, took in found}
    return times | {"server, hand-over, client": whole - sum(times.values())}


def _medians(taken: list[dict[str, float]]) -> dict[str, float]:
    return {step: statistics.median(times[step] for times in taken) for step in taken[0]}
