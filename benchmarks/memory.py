"""The memory of each server with its decoder process: idle, and after many answers."""

import contextlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from tests.support import servers

from .compared import Addresses, milliseconds
from .table import NAMES, ratios, row


@dataclass(frozen=True)
class Memory:
    """What the processes of a server take, in bytes.

    :param proportional: PSS: a page that several processes share counts once. Only Linux tells it.
    :param resident: RSS: it counts once for each of them.
    """

    proportional: int
    resident: int

    def __str__(self) -> str:
        return f"{self.proportional / 1e6:.0f} MB (RSS {self.resident / 1e6:.0f} MB)"


def memory_at(address: str) -> Memory:
    """What the processes of a server take."""
    proportional = resident = 0
    for process in servers.processes_at(address):
        with contextlib.suppress(psutil.NoSuchProcess):
            taken = process.memory_full_info()
            proportional += getattr(taken, "pss", taken.uss)
            resident += taken.rss
    return Memory(proportional, resident)


def idle(addresses: Addresses) -> None:
    """Print what each takes after its start."""
    taken = {name: memory_at(address) for name, address in addresses.items()}
    print_memory("memory when idle, after the start", taken)


def after_answers(addresses: Addresses, content: bytes, counts: Mapping[str, int]) -> None:
    """Print what each takes after many answers, and what the second half of the answers added."""
    taken, halfway = {}, {}
    for name, address in addresses.items():
        half = counts[name] // 2
        for memory in (halfway, taken):
            with ThreadPoolExecutor(4) as people:
                list(people.map(milliseconds, [address] * half, [content] * half))
            memory[name] = memory_at(address)
    print_memory("— after the rows above and further answers", taken)
    row("— how many further answers", *(f"{counts[name]:,}" for name in NAMES))
    added = [(taken[name].proportional - halfway[name].proportional) / 1e6 for name in NAMES]
    row("— of which the second half added", *(f"{each:+.1f} MB" for each in added))


def print_memory(what: str, taken: Mapping[str, Memory]) -> None:
    """Print a row."""
    proportional = {name: [memory.proportional] for name, memory in taken.items()}
    row(what, *(str(taken[name]) for name in NAMES), *ratios(proportional, "as much"))
