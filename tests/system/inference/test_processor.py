"""inference/processor.py: TensorFlow keeps to the CPU quota of its process."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.processor import usable_cores
from tests.support.servers import ROOT

GROUPS = Path("/sys/fs/cgroup/cpu")  # version 1, where a group can be made without asking systemd


@pytest.fixture
def half_a_core() -> Iterator[Path]:
    """A real control group with a quota of half a core."""
    group = GROUPS / "which-bird-is-it-test"
    try:
        group.mkdir(exist_ok=True)  # a killed test left it
    except OSError:
        pytest.skip("no control group of version 1 can be made here")
    try:
        (group / "cpu.cfs_quota_us").write_text("50000")
        yield group
    finally:
        group.rmdir()


def test_a_quota_that_a_process_is_really_under_limits_tensorflow(half_a_core):
    if usable_cores() < 2:
        pytest.skip("one core cannot be limited")
    program = (
        f"import os; open('{half_a_core}/cgroup.procs', 'w').write(str(os.getpid()))\n"
        "from inference.tensorflow_engine import tf, use_threads; from inference.processor import usable_cores\n"
        "use_threads(usable_cores())\n"
        "print(usable_cores(), tf.config.threading.get_intra_op_parallelism_threads(),"
        " tf.config.threading.get_inter_op_parallelism_threads())"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "1 1 1\n"
