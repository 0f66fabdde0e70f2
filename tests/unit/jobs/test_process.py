"""jobs/process.py: a pool process loads the network as the settings say."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import settings
from inference.engine import EngineInfo
from inference.input_range import InputRange
from inference.options import EngineName, NetworkOptions, Precision
from inference.pair import Pair
from jobs.process import WorkerProcess
from jobs.store import JobStore

REDIS = "redis://127.0.0.1:9/0"  # where nothing listens


def test_the_network_is_loaded_as_the_settings_say():
    loaded: list[tuple[Any, ...]] = []
    info = EngineInfo(EngineName.ONNX, Precision.INT8, "CPU", InputRange.ZERO_TO_255)

    def load(pair: Pair, options: NetworkOptions) -> Any:
        loaded.append((pair, options))
        return SimpleNamespace(engine=SimpleNamespace(info=info, input_range_reason=""))

    changed = {"QUEUE_URL": REDIS, "STRICTNESS": 0.2, "INPUT_RANGE": "0-255"}
    checked = settings.from_config(settings.DEFAULTS | changed)
    pair: Any = SimpleNamespace(labels=("Wren",), model_file=Path("model.h5"))
    process = WorkerProcess(checked, pair, JobStore(REDIS), load)
    assert process.engine is None
    process.load_model()
    assert loaded == [(pair, NetworkOptions(input_range=InputRange.ZERO_TO_255, strictness=0.2))]
    assert process.await_model(0)
    assert process.engine == info
