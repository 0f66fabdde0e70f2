"""inference/processor.py: how many cores a process may keep busy."""

import json
import os
import subprocess
import sys

import pytest

from inference import processor
from inference.processor import usable_cores
from tests.support.servers import ROOT

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system keeps no process off a core")
def test_cores_that_a_process_may_not_run_on_do_not_count():
    program = (
        "import os, json; from inference.processor import usable_cores; many = usable_cores()\n"
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(json.dumps([many, usable_cores()]))"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == [usable_cores(), 1]


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        ("0::/\n", {}, 64),  # not in a container
        ("0::/\n", {"cpu.max": "max 100000"}, 64),
        ("0::/\n", {"cpu.max": "200000 100000"}, 2),  # Docker's --cpus 2
        ("0::/\n", {"cpu.max": "150000 100000"}, 2),
        ("0::/\n", {"cpu.max": "10000 100000"}, 1),
        ("0::/\n", {"cpu.max": "9900000 100000"}, 64),
        # systemd's CPUQuota=300% for the service, and 400% for its slice
        ("0::/bird.slice/bird.service\n", {"bird.slice/bird.service/cpu.max": "300000 100000"}, 3),
        ("0::/bird.slice/bird.service\n", {"bird.slice/cpu.max": "400000 100000"}, 4),
        ("0::/../../other\n", {"cpu.max": "200000 100000"}, 2),
        # version 1; in a container the path is the host's, which is not visible inside
        ("4:cpu,cpuacct:/docker/0123\n", {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        ("4:cpuacct,cpu:/\n3:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
    ],
)
def test_the_quota_of_a_control_group_is_found(tmp_path, monkeypatch, membership, files, cores):
    # Files as cgroups(7) describes them: a test cannot make a container.
    (tmp_path / "membership").write_text(membership)
    for name, content in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    monkeypatch.setattr(processor, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(processor, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: range(64), raising=False)
    assert usable_cores() == cores


def test_a_system_without_control_groups_is_no_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "_MEMBERSHIP", tmp_path / "none")
    assert usable_cores() == CORES


@pytest.mark.parametrize("module", ["settings", "jobs.worker"])
def test_numpys_products_start_no_threads_that_would_compete_with_the_network(module):
    program = f"import {module}, numpy as np, psutil; np.eye(600) @ np.eye(600); print(psutil.Process().num_threads())"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BIRD_", "OPENBLAS_"))}
    environment["BIRD_QUEUE_URL"] = "redis://127.0.0.1:9/0"  # where nothing listens
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == ["1"]
