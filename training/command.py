"""What the commands of this folder share."""

import os
from pathlib import Path

INTERRUPTED = 130  # exit status that shells use for Ctrl-C


def path_argument(text: str) -> Path:
    """A path that was given to a command; some shells leave ``~`` as it is."""
    return Path(os.path.expanduser(text))
