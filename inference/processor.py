"""How many cores this process may use, whether they compute in bfloat16, and whether there may be a GPU."""

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from math import ceil
from pathlib import Path

_MEMBERSHIP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")
_DEVICES = Path("/dev")  # nvidia0 and so on; kfd of AMD; dxg in the Windows Subsystem for Linux
_BFLOAT16 = {"avx512_bf16", "amx_bf16"}  # flags of x86 processors with instructions for bfloat16


def usable_cores() -> int:
    """How many cores this process may keep busy: those it may run on, or fewer if its CPU quota allows fewer.

    A container's limit ("2 CPUs" on a machine of 64) and systemd's ``CPUQuota`` are such quotas. TensorFlow ignores
    them.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *(ceil(quota) for quota in _quotas())]))


def has_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16; False where there is no ``/proc/cpuinfo``."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.is_file() and not _BFLOAT16.isdisjoint(cpuinfo.read_text().split())


def may_have_gpu() -> bool:
    """Whether there may be a GPU that TensorFlow can use. A wrong yes costs a start the import of TensorFlow."""
    if sys.platform == "darwin":
        return find_spec("tensorflow-plugins") is not None  # of tensorflow-metal
    return any(_DEVICES.glob("nvidia[0-9]*")) or (_DEVICES / "kfd").exists() or (_DEVICES / "dxg").exists()


def _quotas() -> Iterator[float]:
    """The CPU quotas, in cores, of the control groups that this process is in (cgroups(7)); only Linux has them."""
    for line in _MEMBERSHIP.read_text().splitlines() if _MEMBERSHIP.is_file() else ():
        _number, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = _GROUPS / "cpu" if controllers else _GROUPS  # version 1, version 2
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(root):
                yield from _quota(folder)


def _quota(group: Path) -> Iterator[float]:
    """The CPU quota of one control group, in cores; nothing if it has none."""
    if (group / "cpu.max").is_file():
        quota, period = (group / "cpu.max").read_text().split()
    elif (group / "cpu.cfs_quota_us").is_file():
        quota, period = ((group / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
    else:
        return
    if quota not in ("max", "-1"):
        yield int(quota) / int(period)
