"""jobs/process.py: a pool process loads the network as the settings say."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import settings
from inference.input_range import InputRange
from inference.pair import Pair
from jobs.process import WorkerProcess
from jobs.store import JobStore

REDIS = "redis://127.0.0.1:9/0"  # where nothing listens


def test_the_network_is_loaded_with_the_precision_the_range_and_the_strictness_of_the_settings():
    loaded: list[tuple[Any, ...]] = []

    def load(pair: Pair, precision: str, input_range: InputRange | None, *, strictness: float) -> Any:
        loaded.append((pair, precision, input_range, strictness))
        return SimpleNamespace(input_range=InputRange.ZERO_TO_255, input_range_reason="")

    changed = {"QUEUE_URL": REDIS, "STRICTNESS": 0.2, "INPUT_RANGE": "0-255"}
    checked = settings.from_config(settings.DEFAULTS | changed)
    pair: Any = SimpleNamespace(labels=("Wren",), model_file=Path("model.h5"))
    process = WorkerProcess(checked, pair, JobStore(REDIS), load)
    process.load_model()
    assert loaded == [(pair, "float32", InputRange.ZERO_TO_255, 0.2)]
    assert process.await_model(0)
    assert process.input_range == "0-255"
