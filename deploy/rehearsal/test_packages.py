"""Which packages the hook before the build chooses for an instance."""

from pathlib import Path

import pytest

from inference.compiled import COMPILED_FILE

from .beanstalk import Instance

WORKER = {"BIRD_SERVICE": "worker", "BIRD_QUEUE_URL": "redis://host"}


@pytest.fixture
def unpacked(source_bundle: Path, tmp_path: Path) -> Instance:
    """An instance on which nothing has been installed yet."""
    return Instance(source_bundle, tmp_path, port=0)


def chosen_by(instance: Instance, properties: dict[str, str]) -> str:
    """The name of the file that an instance with these properties installs from."""
    texts = {file.read_text(): file.name for file in instance.current.glob("requirements*.txt")}
    instance.properties |= properties
    instance.run_hooks("prebuild")
    return texts[(instance.current / "requirements.txt").read_text()]


@pytest.mark.parametrize(
    "properties", [{}, WORKER, {"BIRD_ENGINE": "onnx"}], ids=["alone", "worker", "without TensorFlow"]
)
def test_a_compiled_network_is_served_with_the_light_ones(unpacked, properties):
    if not (unpacked.current / "models" / COMPILED_FILE).exists():
        pytest.skip(f"{COMPILED_FILE} is not here")
    assert chosen_by(unpacked, properties) == "requirements-serve.txt"


@pytest.mark.parametrize(("properties", "chosen"), [({}, "requirements.txt"), (WORKER, "requirements-worker.txt")])
def test_a_network_that_is_not_compiled_gets_tensorflow(unpacked, properties, chosen, capfd):
    (unpacked.current / "models" / COMPILED_FILE).unlink(missing_ok=True)
    assert chosen_by(unpacked, properties) == chosen
    assert "is not compiled." in capfd.readouterr().err


@pytest.mark.parametrize(("properties", "chosen"), [({}, "requirements.txt"), (WORKER, "requirements-worker.txt")])
def test_so_does_an_operator_who_asks_for_it(unpacked, properties, chosen):
    assert chosen_by(unpacked, properties | {"BIRD_ENGINE": "tensorflow"}) == chosen


def test_with_a_queue_the_web_process_gets_its_own(unpacked):
    properties = {"BIRD_QUEUE_URL": "redis://host", "BIRD_ENGINE": "tensorflow"}
    assert chosen_by(unpacked, properties) == "requirements-web.txt"


@pytest.mark.parametrize("value", ["1", "true"])
def test_corrections_of_visitors_need_more(unpacked, value):
    texts = {name: (unpacked.current / f"requirements-{name}.txt").read_text() for name in ("web", "feedback")}
    unpacked.properties |= {"BIRD_QUEUE_URL": "redis://host", "BIRD_FEEDBACK": value}
    unpacked.run_hooks("prebuild")
    assert (unpacked.current / "requirements.txt").read_text() == texts["web"] + texts["feedback"]


@pytest.mark.parametrize("service", ["web", "worker"])
def test_amazon_sqs_needs_more_on_web_machines_and_workers(unpacked, service):
    texts = {name: (unpacked.current / f"requirements-{name}.txt").read_text() for name in (service, "sqs")}
    unpacked.properties |= {"BIRD_QUEUE_URL": "sqs://", "BIRD_SERVICE": service, "BIRD_ENGINE": "tensorflow"}
    unpacked.run_hooks("prebuild")
    assert (unpacked.current / "requirements.txt").read_text() == texts[service] + texts["sqs"]


@pytest.mark.parametrize(
    ("properties", "chosen"),
    [
        (WORKER | {"BIRD_FEEDBACK": "1", "BIRD_ENGINE": "tensorflow"}, "requirements-worker.txt"),
        ({"BIRD_FEEDBACK": "0", "BIRD_QUEUE_URL": "redis://host"}, "requirements-web.txt"),
    ],
    ids=["worker", "off"],
)
def test_without_them_or_in_a_worker_nothing_more_is_installed(unpacked, properties, chosen):
    assert chosen_by(unpacked, properties) == chosen


def test_an_instance_without_a_python_that_can_decide_gets_all_of_them(unpacked, tmp_path):
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    assert chosen_by(unpacked, {"PATH": f"{tmp_path}:/usr/bin:/bin"}) == "requirements.txt"
