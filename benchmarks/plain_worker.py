"""The simplest way to put a network behind Celery: its defaults, and the pixels as a list of numbers.

celery -A benchmarks.plain_worker worker
"""

import os

from celery import Celery

app = Celery("plain", broker=os.environ["PLAIN_URL"], backend=os.environ["PLAIN_URL"])


@app.task(name="plain")
def plain(pixels: list[list[list[int]]]) -> dict[str, object]:
    """Answer without a network: only the transfer is measured."""
    assert len(pixels) == 224
    return {"label": "bird", "confidence": 1.0, "candidates": [["bird", 1.0]] * 5}
