"""The plain way to put a network behind Celery: its defaults, and the numbers as a list.

celery -A benchmarks.plain_worker worker
"""

import os

from celery import Celery

app = Celery("plain", broker=os.environ["PLAIN_URL"], backend=os.environ["PLAIN_URL"])


@app.task(name="plain")
def plain(pixels: list[list[list[int]]]) -> dict[str, object]:
    """Nothing of a network: only the way there and back is measured."""
    assert len(pixels) == 224
    return {"label": "bird", "confidence": 1.0, "candidates": [["bird", 1.0]] * 5}
