"""When TensorFlow is installed: only if it would run the network."""

import ast
from pathlib import Path

import pytest

from deploy import needed_packages
from deploy.needed_packages import why_tensorflow
from inference import MODEL_FILE, compiled
from inference.compiled import About, Compiled, write_compiled
from inference.digest import sha256
from inference.input_range import InputRange


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    """A file in the role of a model, with a compiled network that names it."""
    file = tmp_path / "birds.h5"
    file.write_bytes(b"a network")
    compile_for(file)
    return file


def compile_for(model_file: Path) -> None:
    """Write the file that compile writes beside a model, without networks."""
    about = About(
        model_sha256=sha256(model_file),
        date="2026-11-29",
        versions={},
        calibrated_on=0,
        input_range=InputRange.ZERO_TO_ONE,
        input_range_reason="",
        meaning="SHARES",
        outputs=2,
        takes_batches=True,
        takes_any_size=True,
        agreement={},
    )
    write_compiled(model_file.parent / compiled.COMPILED_FILE, Compiled(about, None, {}, {}))


def why(model_file: Path, *, has_gpu: bool = False, **settings: str) -> str:
    """Why TensorFlow is needed, with these settings."""
    return why_tensorflow({"BIRD_MODEL": str(model_file)} | settings, has_gpu)


def test_it_looks_for_the_files_that_the_app_uses():
    assert needed_packages.MODEL_FILE.name == MODEL_FILE
    assert needed_packages.COMPILED_FILE == compiled.COMPILED_FILE


def test_the_system_of_an_instance_can_run_it():
    """Amazon Linux has Python 3.9."""
    tree = ast.parse(Path(needed_packages.__file__).read_text(), feature_version=(3, 9))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)]


@pytest.mark.parametrize(
    "settings", [{}, {"BIRD_ENGINE": "onnx"}, {"BIRD_PRECISION": "float32"}, {"BIRD_INPUT_RANGE": "0-1"}]
)
def test_a_compiled_network_needs_no_tensorflow(model_file, settings):
    assert why(model_file, **settings) == ""


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"BIRD_ENGINE": "tensorflow"}, "BIRD_ENGINE=tensorflow asks for it."),
        ({"BIRD_PRECISION": "bfloat16"}, "BIRD_PRECISION=bfloat16 asks for it."),
        ({"BIRD_INPUT_RANGE": "-1-1"}, "compiled_network.zip was compiled for another BIRD_INPUT_RANGE."),
        ({"BIRD_ENGINE": "tensorflow", "BIRD_QUEUE_URL": "redis://host", "BIRD_SERVICE": "worker"}, "asks for it."),
    ],
)
def test_a_setting_may_ask_for_it(model_file, settings, reason):
    assert why(model_file, **settings).endswith(reason)


def test_a_gpu_gets_it_unless_the_operator_does_without(model_file):
    assert why(model_file, has_gpu=True).startswith("there may be a GPU")
    assert why(model_file, has_gpu=True, BIRD_ENGINE="onnx") == ""


def test_a_model_that_is_not_compiled_needs_it(model_file):
    (model_file.parent / compiled.COMPILED_FILE).unlink()
    assert why(model_file) == f"{model_file} is not compiled."


def test_the_compiled_network_of_another_model_does_not_count(model_file):
    model_file.write_bytes(b"another network")
    assert why(model_file) == f"{model_file.parent / 'compiled_network.zip'} belongs to another model than birds.h5."


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_a_file_that_compile_did_not_write_does_not_count(model_file, content):
    (model_file.parent / compiled.COMPILED_FILE).write_bytes(content)
    assert why(model_file).endswith("is not a file that compile wrote.")


def test_where_workers_run_the_network_the_web_process_needs_none(tmp_path):
    (tmp_path / "birds.h5").write_bytes(b"a network")
    assert why(tmp_path / "birds.h5", BIRD_QUEUE_URL="redis://host", BIRD_ENGINE="tensorflow") == ""


def test_a_missing_model_is_left_to_the_app(tmp_path):
    assert why(tmp_path / "none.h5") == ""
