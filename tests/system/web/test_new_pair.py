"""A running site takes a promoted pair without a pause: gunicorn is told to reload while visitors send photos."""

import json
import signal
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

import numpy as np
import psutil

from inference import LABELS_FILE, MODEL_FILE
from inference.digest import sha256
from inference.manifest import describe_pair, write_manifest
from tests.support import servers
from tests.support.photographs import colored_photo
from tests.support.servers import KERAS2, send_photo
from training.promotion import go_back, promote

VISITORS = 24  # at once; at a first start, no more than 16 may wait for the model
LONGEST_WAIT = 5  # seconds for a photo; on an idle machine TensorFlow and the model take longer to load


def write_pair(folder: Path, name: str) -> str:
    """A small pair, different for each name; its SHA-256."""
    folder.mkdir(parents=True)
    model, labels = folder / MODEL_FILE, folder / LABELS_FILE
    model.write_bytes((KERAS2 / "model.h5").read_bytes() + name.encode())  # HDF5 files may have something behind them
    indices = np.load(KERAS2 / LABELS_FILE, allow_pickle=True).item()
    np.save(labels, {f"{label} of {name}": index for label, index in indices.items()})
    write_manifest(folder, describe_pair(model, labels))
    return sha256(model)


def model_at(address: str) -> str:
    """The SHA-256 that the site names."""
    with urllib.request.urlopen(f"{address}/api/v1/model", timeout=60) as answer:
        return json.load(answer)["sha256"]


def test_visitors_are_all_answered_at_once_while_the_site_takes_a_promoted_pair_and_goes_back(tmp_path):
    models = tmp_path / "models"
    old, new = write_pair(models, "old"), write_pair(models / "candidate", "new")
    port = servers.free_port()
    address = f"http://127.0.0.1:{port}"
    pair = {"BIRD_MODEL": str(models / MODEL_FILE), "BIRD_LABELS": str(models / LABELS_FILE)}
    environment = servers.environment(port, tmp_path / "uploads", BIRD_RATE_LIMIT="", **pair)
    answers: list[tuple[int, float]] = []
    done = threading.Event()

    def visit(client: int) -> None:
        while not done.is_set():
            begun = time.monotonic()
            answers.append((send_photo(address, colored_photo(1), client=client).status, time.monotonic() - begun))

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(1, VISITORS + 1)]
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(servers.GUNICORN, cwd=servers.ROOT, env=environment, stdout=log, stderr=log)
    try:
        servers.wait_until_it_answers(address, process)
        assert model_at(address) == old
        workers = psutil.Process(process.pid).children()
        for visitor in visitors:
            visitor.start()
        for exchange, expected in ((promote, new), (go_back, old)):
            exchange(models)
            process.send_signal(signal.SIGHUP)
            servers.until(lambda expected=expected: model_at(address) == expected, seconds=servers.START_LIMIT)
            # The worker before has answered those who had come to it, and no other takes its place.
            servers.until(lambda workers=workers: not any(worker.is_running() for worker in workers), seconds=60)
            count = len(answers)
            servers.until(lambda count=count: len(answers) > count + VISITORS)
            workers = psutil.Process(process.pid).children()
            assert len(workers) == 1
            assert model_at(address) == expected
    finally:
        done.set()
        for visitor in visitors:
            if visitor.is_alive():
                visitor.join()
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert Counter(status for status, _seconds in answers) == {200: len(answers)}
    assert max(seconds for _status, seconds in answers) < LONGEST_WAIT
