"""web/startup.py: how the app starts on real servers, and with which line it refuses to."""

import os
import resource
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from inference import LABELS_FILE, MODEL_FILE
from inference.compiled import COMPILED_FILE
from tests.support import servers
from tests.support.servers import SMALL_NETWORK, one_line_refusal
from tests.unit.inference.test_labels import RunsCode
from web.startup import OPEN_FILES


def test_the_last_line_that_is_printed_is_the_address_and_the_app_then_answers_quickly(tmp_path, goldfinch):
    port = servers.free_port()
    with subprocess.Popen(
        servers.FLASK,
        cwd=servers.ROOT,
        env=servers.environment(port, tmp_path / "uploads"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
        reader.start()
        while not any("http://" in line for line in lines):
            assert process.poll() is None, lines
            time.sleep(0.05)
        time.sleep(1)
        assert any(
            "The network is given pixel values from 0 to 1, as its first layers ask for." in line for line in lines
        )
        assert lines[-1] == f"http://127.0.0.1:{port}\n"
        times = []
        for _ in range(6):
            begun = time.perf_counter()
            assert servers.post_photo(f"http://127.0.0.1:{port}", goldfinch)[0] == 200
            times.append(time.perf_counter() - begun)
        process.terminate()
        reader.join()
    # Without the warm-up the first answer takes over ten times as long as the others.
    assert times[0] < 5 * np.median(times[1:])


def test_a_process_may_open_as_many_files_as_the_system_lets_it(tmp_path):
    command = ["sh", "-c", 'ulimit -S -n 256; exec "$@"', "sh", *servers.FLASK]
    with servers.running(command, tmp_path / "uploads", **SMALL_NETWORK) as address:
        app = servers.processes_at(address)[0]
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert app.rlimit(psutil.RLIMIT_NOFILE) == (min(hard, OPEN_FILES), hard)


# Imported by a command line


@pytest.mark.parametrize(
    "program",
    [
        # A shell, or any other command of Flask's, has imported the app without starting it.
        'from flask.cli import FlaskGroup; FlaskGroup()(["--app", "application", "shell"])',
        # A server with a command line of its own imports it to serve it.
        "import click\n@click.command()\ndef serve(): exec(open(0).read())\nserve([])",
    ],
)
def test_an_app_that_a_command_has_imported_answers_too(uploads, goldfinch, tmp_path, program):
    photo = tmp_path / "bird.jpg"
    photo.write_bytes(goldfinch)
    lines = [
        "from application import application, classify_image",
        f"print(classify_image({str(photo)!r})[0].label)",
        "print(application.test_client().get('/').status_code)",
    ]
    ended = subprocess.run(
        [sys.executable, "-c", program],
        input="\n".join(lines),
        cwd=servers.ROOT,
        env=servers.environment(5000, uploads, **SMALL_NETWORK),
        capture_output=True,
        text=True,
        timeout=servers.START_LIMIT,
    )
    assert "bird" in ended.stdout, ended.stderr
    assert "200" in ended.stdout


# In debug mode


def test_debug_mode_without_the_reloader_serves_the_app(tmp_path):
    command = [sys.executable, "-m", "flask", "--app", "application", "run", "--no-reload"]
    port = servers.free_port()
    environment = servers.environment(
        port, tmp_path / "uploads", FLASK_DEBUG="1", FLASK_RUN_PORT=str(port), **SMALL_NETWORK
    )
    process = subprocess.Popen(command, cwd=servers.ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        servers.wait_until_it_answers(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.mark.parametrize("command", [[*servers.FLASK], [sys.executable, "-m", "flask", "--app", "application", "run"]])
def test_debug_mode_loads_the_model_once(tmp_path, command):
    # Python's own import log tells which processes import TensorFlow: the reloader's parent, its child, or both.
    port = servers.free_port()
    log = tmp_path / "log"
    settings = {"FLASK_DEBUG": "1", "PYTHONVERBOSE": "1", "FLASK_RUN_PORT": str(port)}
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=servers.ROOT,
            env=servers.environment(port, tmp_path / "uploads", **SMALL_NETWORK, **settings),
            stderr=output,
            stdout=output,
            start_new_session=True,
        )
        try:
            servers.wait_until_it_answers(f"http://127.0.0.1:{port}", process)
        finally:
            os.killpg(process.pid, 15)
            process.wait(timeout=20)
    printed = log.read_text(errors="replace")
    assert "Debugger is active" in printed
    assert printed.count("import 'inference.classifier'") == 1


def test_debug_mode_without_a_reloader_checks_the_pair_at_the_start(tmp_path):
    command = [sys.executable, "-c", "import application"]  # as gunicorn does
    line = one_line_refusal(
        tmp_path / "uploads", command=command, FLASK_DEBUG="1", BIRD_MODEL=str(tmp_path / "none.h5")
    )
    assert "none.h5 is missing" in line


def test_debug_mode_is_off_unless_asked_for_with_flasks_own_switch(tmp_path):
    command = [sys.executable, "-c", "import application; print(application.application.debug)"]
    for settings, debug in [({"BIRD_DEBUG": "true"}, "False"), ({"FLASK_DEBUG": "1"}, "True")]:
        environment = servers.environment(5000, tmp_path / "uploads", **SMALL_NETWORK, **settings)
        ended = subprocess.run(command, cwd=servers.ROOT, env=environment, capture_output=True, text=True, check=True)
        assert ended.stdout == f"{debug}\n"


# Refused


def test_a_missing_model_stops_the_start(tmp_path):
    line = one_line_refusal(tmp_path / "uploads", BIRD_MODEL=str(tmp_path / "none.h5"))
    assert line == (
        f"application: {tmp_path}/none.h5 is missing. Put your fine-tuned model there, or run python -m training DATA."
    )


@pytest.mark.parametrize("engine", ["auto", "onnx", "tensorflow"])
def test_labels_of_the_wrong_length_stop_the_start(tmp_path, engine):
    model, labels = tmp_path / MODEL_FILE, tmp_path / "labels.npy"
    for name in (MODEL_FILE, COMPILED_FILE):  # without the file that says which labels it was saved with
        (tmp_path / name).symlink_to(servers.ROOT / "models" / name)
    np.save(labels, {"a": 0, "b": 1})
    pair = {"BIRD_MODEL": str(model), "BIRD_LABELS": str(labels)}
    line = one_line_refusal(tmp_path / "uploads", BIRD_ENGINE=engine, **pair)
    assert f"{MODEL_FILE} tells 121 classes apart, but {tmp_path}/labels.npy holds 2 labels." in line


def test_labels_that_run_code_stop_the_start_and_run_nothing(tmp_path):
    np.save(tmp_path / LABELS_FILE, {"a": 0, "b": RunsCode(tmp_path / "ran")})
    line = one_line_refusal(tmp_path / "uploads", BIRD_LABELS=str(tmp_path / LABELS_FILE))
    assert "is refused: its pickle names 'pathlib" in line
    assert not (tmp_path / "ran").exists()


def gunicorn_refusal(uploads, *options: str, **settings: str) -> str:
    """All that gunicorn prints where it must end with exit status 4, its own log aside."""
    command = [*servers.GUNICORN, *options]
    ended = servers.start_and_fail(uploads, port=servers.free_port(), command=command, **settings)
    assert ended.returncode == 4
    return ended.stderr


def test_debug_mode_does_not_start_under_gunicorn(tmp_path):
    assert gunicorn_refusal(tmp_path / "uploads", FLASK_DEBUG="1") == (
        "application: FLASK_DEBUG is on, which shows visitors the inside of the app. Leave it out.\n"
    )


def test_a_model_that_cannot_be_loaded_ends_gunicorn_with_one_line(tmp_path):
    printed = gunicorn_refusal(tmp_path / "uploads", BIRD_MODEL="/nowhere/birds.h5")
    assert printed.startswith("application: /nowhere/birds.h5 is missing.")
    assert printed.count("\n") == 1


def test_preloading_ends_gunicorn_with_one_line(tmp_path):
    assert gunicorn_refusal(tmp_path / "uploads", "--preload", **SMALL_NETWORK) == (
        "application: gunicorn's --preload is not supported. Leave it out.\n"
    )
