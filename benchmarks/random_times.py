"""When photos are sent, and how long each takes, by chance."""

import random
from collections.abc import Iterable, Iterator
from typing import Any


def gamma(chance: Any, mean: float, spread: float) -> float:
    """A random time.

    :param chance: a ``random.Random``, or the module.
    :param spread: the standard deviation, as a share of the mean: 0 is constant, 1 exponential.
    """
    return chance.gammavariate(spread**-2, mean * spread**2) if spread else mean


def poisson(rates: Iterable[tuple[float, float]], seed: int = 0) -> Iterator[float]:
    """The times at which photos are sent by many people who know nothing of each other.

    :param rates: photos a second, and until which time.
    """
    chance = random.Random(f"arrivals {seed}")  # not what decides how long the workers take
    time = 0.0
    for rate, until in rates:
        while (after := time + chance.expovariate(rate)) < until:
            time = after
            yield time
        time = until  # what comes next does not depend on when the last photo came
