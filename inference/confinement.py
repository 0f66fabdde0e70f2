"""Confines the processes that read files from strangers: no secrets, no network, no writing to files, no privileges.

If a crafted file takes over such a process, there is little that it can do. Linux supports all of this, other systems
a part of it. What the system or a container's own rules do not allow is left out, and the process runs anyway.
There is no seccomp filter: no maintained Python package offers one, and the system calls that the image libraries need
differ with their versions and with the processor.
"""

import ctypes
import os
import sys

# The variables that Python and its libraries need to start. The app's other variables, such as its secret key and the
# passwords of its queue, are not passed on.
_NEEDED_VARIABLES = (
    *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"),  # where libraries are
    *("PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE", "HOME", "APPDATA"),  # where packages are
    *("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
    "HDF5_USE_FILE_LOCKING",  # operators turn it off where a network file system has no locks
    "SYSTEMROOT",  # Windows finds no random numbers without it
)

# From sched.h, linux/prctl.h and linux/capability.h.
_CLONE_NEWUSER, _CLONE_NEWNET = 0x1000_0000, 0x4000_0000
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x2008_0522
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1 << 1, 1 << 2


def minimal_environment() -> dict[str, str]:
    """The environment variables that such a process is started with."""
    needed = {name: os.environ[name] for name in _NEEDED_VARIABLES if name in os.environ}
    return needed | {"OPENBLAS_NUM_THREADS": "1"}  # each of its threads would take memory


def confine_process() -> None:
    """Give up, for the rest of this process, what reading a file does not need.

    It cannot write anything into a file, connect to anything, look into another process (whose environment and memory
    hold the secrets; where a container forbids namespaces, only the superuser's processes are protected), or gain
    privileges. It can still read every file that its user may read. The number of processes
    is not limited: that limit counts all of the user's threads, and libheif starts one for each HEIC file.

    Call it before the process has a second thread: Linux creates a user namespace only for a single-threaded one.
    """
    _forbid_writing()
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        # The superuser needs no user namespace, and in one would lose the right to read other people's files.
        libc.unshare(_CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWUSER | _CLONE_NEWNET)
        _drop_capabilities(libc)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _forbid_writing() -> None:
    """Forbid writing to any file, core dumps included; pipes still work. Windows has no such limits."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Keep only those of the superuser's capabilities (capabilities(7)) that let it read other people's files."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)  # 0: this process
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then the same of capabilities from 32 on
    if libc.capget(header, sets) == 0:
        kept = sets[1] & (_CAP_DAC_OVERRIDE | _CAP_DAC_READ_SEARCH)
        sets[:] = [kept, kept, 0, 0, 0, 0]
        libc.capset(header, sets)
