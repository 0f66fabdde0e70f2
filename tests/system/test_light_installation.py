"""requirements-serve.txt alone, in a virtual environment of its own, serves a compiled network: without TensorFlow."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from inference import LABELS_FILE, MODEL_FILE
from inference.compiled import COMPILED_FILE
from inference.packages import BEYOND_SERVING, FOR_SQS
from tests.support import brokers, servers
from tests.support.servers import SMALL_NETWORK, one_line_refusal

INSTALL_ALL = "pip install -r requirements.txt"
NOT_COMPILED = "is not compiled. TensorFlow, which can run it as it is or compile it, is not installed: " + INSTALL_ALL
GUNICORN = servers.GUNICORN[1:]
MODELS = servers.ROOT / "models"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of such an environment."""
    folder = tmp_path_factory.mktemp("light") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-r", "requirements-serve.txt"], cwd=servers.ROOT, check=True)
    return python


@pytest.fixture(scope="module")
def compiled_pair(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings for the small network, compiled by the installation that runs the tests."""
    folder = tmp_path_factory.mktemp("compiled")
    pair = {"BIRD_MODEL": str(folder / MODEL_FILE), "BIRD_LABELS": str(folder / LABELS_FILE)}
    shutil.copy(SMALL_NETWORK["BIRD_MODEL"], pair["BIRD_MODEL"])
    shutil.copy(SMALL_NETWORK["BIRD_LABELS"], pair["BIRD_LABELS"])
    ended = run([sys.executable, "-m", "flask", "--app", "application", "compile"], folder, **pair)
    assert ended.returncode == 0, ended.stderr
    return pair


@pytest.fixture
def uncompiled_pair(tmp_path: Path) -> dict[str, str]:
    """The settings for the small network, without a compiled one beside it."""
    pair = {name: str(shutil.copy(file, tmp_path)) for name, file in SMALL_NETWORK.items()}
    assert set(pair) == {"BIRD_MODEL", "BIRD_LABELS"}
    return pair


def run(command: list[str], folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the project to its end."""
    environment = servers.environment(servers.free_port(), folder / "uploads", **settings)
    return subprocess.run(command, cwd=servers.ROOT, env=environment, capture_output=True, text=True, timeout=60)


def test_it_has_nothing_of_what_only_training_or_another_broker_needs(python):
    others = BEYOND_SERVING + FOR_SQS
    program = f"import importlib.util as u; print([name for name in {others} if u.find_spec(name)])"
    assert subprocess.run([python, "-c", program], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize("command", [["application.py"], GUNICORN])
def test_the_page_and_the_api_name_a_bird(python, compiled_pair, tmp_path, goldfinch, command):
    with servers.running([python, *command], tmp_path / "uploads", **compiled_pair) as address:
        assert "Predicted : bird" in servers.send_photo(address, goldfinch).page
        status, page = servers.post_photo(f"{address}/api/v1/identifications", goldfinch)
        assert status == 200
        assert json.loads(page)["label"].startswith("bird ")


def test_the_command_line_names_it(python, compiled_pair, tmp_path, goldfinch):
    (tmp_path / "garden.jpg").write_bytes(goldfinch)
    identify = [python, "-m", "flask", "--app", "application", "identify", str(tmp_path / "garden.jpg")]
    ended = run(identify, tmp_path, **compiled_pair)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"{tmp_path}/garden.jpg: bird ")


def test_a_worker_names_it(python, compiled_pair, tmp_path, goldfinch):
    with (
        brokers.started(brokers.redis(tmp_path)) as redis,
        brokers.worker(redis, redis, python=python, **compiled_pair),
        servers.running(
            [python, *GUNICORN], tmp_path / "uploads", BIRD_QUEUE_URL=redis.url, **compiled_pair
        ) as address,
    ):
        assert "Predicted : bird" in servers.send_photo(address, goldfinch).page


def test_the_model_that_ships_is_served_as_well(python, tmp_path, goldfinch):
    if not (MODELS / COMPILED_FILE).exists():
        pytest.skip(f"{COMPILED_FILE} is not here")
    with servers.running([python, "application.py"], tmp_path / "uploads") as address:
        assert "Predicted : American Goldfinch" in servers.send_photo(address, goldfinch).page


def test_a_pair_that_is_not_compiled_ends_the_start_with_one_line(python, uncompiled_pair, tmp_path):
    line = one_line_refusal(tmp_path / "uploads", command=[python, "application.py"], **uncompiled_pair)
    assert line == f"application: {uncompiled_pair['BIRD_MODEL']} {NOT_COMPILED}"
    ended = run([python, *GUNICORN], tmp_path, **uncompiled_pair)
    assert ended.returncode == 4
    assert ended.stderr.splitlines() == [line]


def test_it_ends_the_command_line_and_a_worker_with_one_line_too(python, uncompiled_pair, tmp_path, goldfinch):
    line = f"{uncompiled_pair['BIRD_MODEL']} {NOT_COMPILED}"
    (tmp_path / "garden.jpg").write_bytes(goldfinch)
    identify = [python, "-m", "flask", "--app", "application", "identify", str(tmp_path / "garden.jpg")]
    ended = run(identify, tmp_path, **uncompiled_pair)
    assert (ended.returncode, ended.stdout, ended.stderr) == (4, "", f"identify: {line}\n")
    with brokers.started(brokers.redis(tmp_path)) as redis:
        celery = [python, "-m", "celery", "-q", "-A", "jobs.worker", "worker", "-c", "1"]
        ended = run(celery, tmp_path, BIRD_QUEUE_URL=redis.url, **uncompiled_pair)
    assert (ended.returncode, f"worker: {line}" in ended.stderr.splitlines()) == (4, True)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("setting", "value"), [("BIRD_ENGINE", "tensorflow"), ("BIRD_PRECISION", "bfloat16")], ids=["engine", "precision"]
)
def test_a_setting_that_needs_tensorflow_ends_it_with_one_line(python, compiled_pair, tmp_path, setting, value):
    line = one_line_refusal(
        tmp_path / "uploads", command=[python, "application.py"], **compiled_pair, **{setting: value}
    )
    if "none was found here" not in line:  # a processor without bfloat16 is refused before
        assert line == f"application: TensorFlow, which {setting}={value} asks for, is not installed: {INSTALL_ALL}"


def test_amazon_sqs_ends_the_web_process_and_a_worker_with_the_line_that_says_what_to_install(python, tmp_path):
    sqs = {"BIRD_QUEUE_URL": "sqs://", "BIRD_RESULT_URL": "redis://127.0.0.1"}
    line = "BIRD_QUEUE_URL=sqs:// needs more packages: pip install -r requirements-sqs.txt"
    assert one_line_refusal(tmp_path / "uploads", command=[python, "application.py"], **sqs) == f"application: {line}"
    ended = run([python, "-m", "celery", "-A", "jobs.worker", "worker"], tmp_path, **sqs)
    assert (ended.returncode, ended.stderr) == (4, f"worker: {line}\n")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["-m", "flask", "--app", "application", "compile"], "compile: Compiling needs"),
        (["-m", "training", "photos"], "training: Training needs"),
        (["-m", "training.doubtful_labels", "photos"], "training.doubtful_labels: Finding doubtful labels needs"),
    ],
    ids=["compile", "training", "doubtful labels"],
)
def test_compiling_and_training_ask_for_the_rest(python, tmp_path, command, says):
    ended = run([python, *command], tmp_path)
    assert ended.returncode != 0
    assert ended.stderr == f"{says} packages that are not installed ({', '.join(BEYOND_SERVING)}): {INSTALL_ALL}\n"
