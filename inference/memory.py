"""Memory that is not used any more."""

import contextlib
import ctypes
import gc


def give_back_memory() -> None:
    """Give back to the system what has been freed, such as after loading; the C library would keep it."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # only glibc has malloc_trim(3)
        ctypes.CDLL(None).malloc_trim(0)
