"""How fast the app is, compared with the plain recipe: python -m benchmarks [DATA]

Prints a table in Markdown. DATA holds <label>/*.jpg, to measure the accuracy with bfloat16.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import psutil

from inference.processor import has_bfloat16
from tests.support import servers

from . import parts
from .load import Load, put_load_on
from .photos import FILES

PLAIN, APP = "plain recipe", "this app"
COMMANDS = {PLAIN: [*servers.GUNICORN[:-1], "benchmarks.plain_recipe:application"], APP: servers.GUNICORN}
SMALL = "224×224 JPEG"
PLAIN_OVERLOAD = 20  # seconds; a longer run gives the same rate
LEAST_SECONDS = 3  # of load; in fewer, the plain recipe may answer none of 16 clients
BLOCK = 10  # answers of one server before it is the other's turn

Addresses = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--quick", action="store_true", help="a tenth of the time or so, to see whether it works")
    options = parser.parse_args()
    share = 10 if options.quick else 1
    print(machine(), "\n", sep="", flush=True)
    row("what", PLAIN, APP, "ratio")
    row(*["---"] * 4)
    with tempfile.TemporaryDirectory() as folder:
        starts(Path(folder))
        with contextlib.ExitStack() as stack:
            addresses = {name: stack.enter_context(served(name, Path(folder))) for name in COMMANDS}
            files = {name: draw() for name, draw in FILES.items()}
            memory = {name: servers.memory_at(address) for name, address in addresses.items()}
            for name, content in files.items():
                answers(addresses, name, content, 10 // share)
            for clients in (1, 4, 16):
                rates(addresses, files[SMALL], clients, max(LEAST_SECONDS, 10 / share))
            with parts.running("network") as network:
                for heeding in (True, False):
                    overload(addresses, files[SMALL], network, 60 / share, heeding)
            long_run(addresses, files[SMALL], memory, {PLAIN: 1000 // share, APP: 10_000 // share})
            for name, content in files.items():
                shares(addresses[APP], name, content, 50 // share)
    classifiers(10 // share)
    if options.data and has_bfloat16():
        accuracy(options.data)


def machine() -> str:
    """The machine and the versions that the figures are for."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.is_file() else None
    return (
        f"{datetime.date.today()}, {os.cpu_count()} cores ({model[1] if model else platform.machine()}), "
        f"Python {platform.python_version()}, TensorFlow {version('tensorflow')}, gunicorn {version('gunicorn')}"
    )


def row(*cells: str) -> None:
    """Print a row of the table."""
    print("|", " | ".join(cells), "|", flush=True)


def spread(values: list[float], unit: str = "ms") -> str:
    """Median, minimum and maximum."""
    digits = 0 if statistics.median(values) >= 20 else 2
    return f"{statistics.median(values):.{digits}f} {unit} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def ratio(plain: list[float], app: list[float]) -> str:
    """How many times as fast the app is."""
    return f"{statistics.median(plain) / statistics.median(app):.2f} times as fast"


@contextlib.contextmanager
def served(name: str, folder: Path) -> Iterator[str]:
    """Run a server, without showing what it prints; its address."""
    with (
        open(folder / f"{name}.log", "w") as log,
        servers.running(COMMANDS[name], folder / name, output=log) as address,
    ):
        yield address


def starts(folder: Path) -> None:
    """The time from the command to the first page, three times for each in turn, and the first ten answers after it."""
    content = FILES[SMALL]()
    ready, bare, answered = defaultdict(list), [], defaultdict(list)
    for _ in range(3):
        command = [sys.executable, "-m", parts.__name__, parts.start.__name__]
        ended = subprocess.run(command, cwd=servers.ROOT, capture_output=True, text=True, check=True)
        bare.append(float(ended.stdout))
        for name in COMMANDS:
            begun = time.perf_counter()
            with served(name, folder) as address:
                ready[name].append(time.perf_counter() - begun)
                answered[name].append([milliseconds(address, content) for _ in range(10)])
    row("time to ready", spread(ready[PLAIN], "s"), spread(ready[APP], "s"), ratio(ready[PLAIN], ready[APP]))
    row(
        "— TensorFlow's import, `load_model` and the first traced answer alone",
        "",
        spread(bare, "s"),
        f"ready {statistics.median(ready[APP]) - statistics.median(bare):+.2f} s",
    )
    firsts = {name: [times[0] for times in answered[name]] for name in COMMANDS}
    tenths = {name: [times[9] for times in answered[name]] for name in COMMANDS}
    row("first answer", spread(firsts[PLAIN]), spread(firsts[APP]), ratio(firsts[PLAIN], firsts[APP]))
    of_tenth = [f"{statistics.median(firsts[name]) / statistics.median(tenths[name]):.2f}" for name in COMMANDS]
    row("— divided by the tenth", *of_tenth, "")


def milliseconds(address: str, content: bytes) -> float:
    """The time of one answer."""
    begun = time.perf_counter()
    answer = servers.send_photo(address, content)
    took = 1000 * (time.perf_counter() - begun)
    if answer.status != 200 or "Predicted : " not in answer.page:
        raise RuntimeError(f"{address} answered {answer.status}")
    return took


def answers(addresses: Addresses, name: str, content: bytes, rounds: int) -> None:
    """Answers of each in turn, compared with the floor: the bare decoder and the bare network."""
    times, floor = defaultdict(list), []
    with tempfile.NamedTemporaryFile() as file, parts.running("network") as network:
        file.write(content)
        file.flush()
        with parts.running("decode", file.name) as decode:
            for _ in range(rounds):
                for server, address in addresses.items():
                    times[server] += [milliseconds(address, content) for _ in range(BLOCK)]
                floor += map(sum, zip(decode(BLOCK), network(BLOCK), strict=True))
    size = f"{len(content) / 1e6:.1f} MB" if len(content) > 1e5 else f"{len(content) / 1e3:.0f} kB"
    row(f"answer to a {name} ({size})", spread(times[PLAIN]), spread(times[APP]), ratio(times[PLAIN], times[APP]))
    of_floor = statistics.median(times[APP]) / statistics.median(floor)
    row("— floor: bare decoder and bare network", "", spread(floor), f"the app takes {of_floor:.2f} of it")


def classifiers(rounds: int) -> None:
    """From pixels to probabilities: as the plain recipe does it, as the app does it, and steps between them."""
    with contextlib.ExitStack() as stack:
        run = {
            part: stack.enter_context(parts.running(part))
            for part in ("predict", "unfolded", "network", "classify", *(["bfloat16"] if has_bfloat16() else []))
        }
        times = {part: [] for part in run}
        for _ in range(rounds):
            for part, do in run.items():
                times[part] += do(BLOCK)
    predict = times["predict"]
    row("the classifier alone", spread(predict), spread(times["classify"]), ratio(predict, times["classify"]))
    for what, part in (("traced, as it is in the file", "unfolded"), ("traced and folded", "network")):
        row(f"— bare network, {what}", "", spread(times[part]), ratio(predict, times[part]))
    if "bfloat16" not in times:
        row("the classifier with `BIRD_PRECISION=bfloat16`", "", "this processor has none", "")
        return
    faster = ratio(times["classify"], times["bfloat16"])
    row("the classifier with `BIRD_PRECISION=bfloat16`", "", spread(times["bfloat16"]), f"{faster} as float32")


def rates(addresses: Addresses, content: bytes, clients: int, seconds: float) -> None:
    """Answers per second, measured twice for each in turn."""
    found = defaultdict(list)
    for _ in range(2):
        for name, address in addresses.items():
            found[name].append(put_load_on(address, content, clients, seconds=seconds).rate)
    row(
        f"answers per second, {clients} client{'s' if clients > 1 else ''}",
        *(spread(found[name], "/s") for name in COMMANDS),
        f"{statistics.median(found[APP]) / statistics.median(found[PLAIN]):.2f} times as many",
    )


def overload(
    addresses: Addresses, content: bytes, network: Callable[[int], list[float]], seconds: float, heeding: bool
) -> None:
    """64 clients, more than the queue has room for.

    :param heeding: whether those who are refused wait as long as ``Retry-After`` says.
    """
    before, idle = network(100), servers.memory_at(addresses[APP])
    plain = put_load_on(addresses[PLAIN], content, 64, seconds=PLAIN_OVERLOAD)
    with watched_memory(addresses[APP]) as memory:
        load = put_load_on(addresses[APP], content, 64, seconds=seconds, heed_retry_after=heeding)
    bare = 1000 / statistics.median(before + network(100))
    row(
        f"answers per second, 64 clients for {seconds:.0f} s, who try again {'when told to' if heeding else 'at once'}",
        f"{plain.rate:.1f} /s (for {PLAIN_OVERLOAD} s)",
        f"{load.rate:.1f} /s",
        f"{load.rate / plain.rate:.2f} times as many; {load.rate / bare:.2f} of the bare network's {bare:.1f}",
    )
    row("— answers", plain.describe(200), load.describe(200), "")
    row("— refused (503)", plain.describe(503), load.describe(503), f"{within(load, 503)} within 100 ms")
    others = {status for status in plain.milliseconds | load.milliseconds if status not in (200, 503)}
    row("— any other status", str(others or "none"), str(others or "none"), "")
    row("— memory above idle, at most", "", f"{(max(memory) - idle) / 1e6:.0f} MB", "")


def within(load: Load, status: int) -> str:
    """The share of answers that took no more than 100 ms."""
    return f"{100 * load.share_within(100, status):.1f} %"


@contextlib.contextmanager
def watched_memory(address: str) -> Iterator[list[int]]:
    """The memory of a server in bytes, measured twice a second while the block lasts."""
    processes = servers.processes_at(address)
    values, done = [], threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            with contextlib.suppress(psutil.NoSuchProcess):  # a decoder process is replaced now and then
                values.append(sum(process.memory_info().rss for process in processes))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield values
    finally:
        done.set()
        watcher.join()


def long_run(addresses: Addresses, content: bytes, at_start: dict[str, int], counts: dict[str, int]) -> None:
    """Memory after many answers, and what the second half of the answers added."""
    memory = {}
    for name, address in addresses.items():
        memory[name] = [at_start[name]]
        for _half in range(2):
            with ThreadPoolExecutor(4) as people:
                list(people.map(milliseconds, [address] * (counts[name] // 2), [content] * (counts[name] // 2)))
            memory[name].append(servers.memory_at(address))
    row("memory after the start", *(f"{memory[name][0] / 1e6:.0f} MB" for name in COMMANDS), share_of(memory, 0))
    row(
        "— after the rows above and further answers",
        *(f"{memory[name][2] / 1e6:.0f} MB, {counts[name]:,} answers" for name in COMMANDS),
        share_of(memory, 2),
    )
    added = [f"{(memory[name][2] - memory[name][1]) / 1e6:+.1f} MB" for name in COMMANDS]
    row("— of which the second half of them added", *added, "")


def share_of(memory: dict[str, list[int]], number: int) -> str:
    """The memory of the app, as a share of the plain recipe's."""
    return f"{memory[APP][number] / memory[PLAIN][number]:.2f} of it"


def shares(address: str, name: str, content: bytes, rounds: int) -> None:
    """How long each stage of an answer takes, by the app's ``Server-Timing``."""
    times, whole = defaultdict(list), []
    for _ in range(rounds):
        begun = time.perf_counter()
        answer = servers.send_photo(address, content)
        whole.append(1000 * (time.perf_counter() - begun))
        for part, took in re.findall(r"(\w+);dur=([\d.]+)", answer.headers["Server-Timing"]):
            times[part].append(float(took))
    medians = {part: statistics.median(took) for part, took in times.items()}
    medians["server, hand-over, client"] = statistics.median(whole) - sum(medians.values())
    parts_of_it = ", ".join(
        f"{part} {took:.1f} ms ({100 * took / statistics.median(whole):.0f} %)" for part, took in medians.items()
    )
    row(f"where the time goes, {name}", "", parts_of_it, "")


def accuracy(data: Path) -> None:
    """How many photos are named correctly with bfloat16."""
    command = [sys.executable, "-m", "benchmarks.precision", data.absolute()]
    ended = subprocess.run(command, cwd=servers.ROOT, capture_output=True, text=True, check=True)
    found = json.loads(ended.stdout)
    lost = 100 * (found["float32"] - found["bfloat16"]) / found["photos"]
    row(
        f"— {found['photos']} labelled photos, named correctly with bfloat16",
        "",
        f"{found['bfloat16']}, with float32 {found['float32']}",
        f"{lost:.2f} points of top-1 lost",
    )


if __name__ == "__main__":
    main()
