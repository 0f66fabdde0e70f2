"""Whether so many photos are refused that refusals themselves cost the app too much."""

import time
from collections import deque

OVERLOAD = 100  # refusals within a second; at that rate some clients cannot have waited for their Retry-After


class OverloadDetector:
    """Detects an overload: photos are refused so often that clients cannot all be waiting as ``Retry-After`` says."""

    def __init__(self) -> None:
        self._refusals: deque[float] = deque(maxlen=OVERLOAD)  # times of the latest ones

    def count_refusal(self) -> bool:
        """Count a refused photo, and tell whether the app is overloaded."""
        now = time.monotonic()
        self._refusals.append(now)
        return len(self._refusals) == OVERLOAD and now - self._refusals[0] < 1
