"""A disk on which nothing can be written."""

import contextlib
import resource
from collections.abc import Iterator


@contextlib.contextmanager
def no_room(size: int = 0) -> Iterator[None]:
    """Until the block ends, no file of this process may grow beyond ``size`` bytes.

    A write beyond that fails with an error of the operating system, as it does on a full disk.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
