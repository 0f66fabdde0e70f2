r"""The code of the release before this one, which runs beside it while a site is updated.

It lies here packed, because a checkout may have no history. After a release, from its commit:

    git archive COMMIT -- *.py jobs inference names/*.py names/aliases.csv web templates static translations lists \
        feedback cli | xz -9 > tests/support/previous_release.tar.xz
"""

import tarfile
from pathlib import Path

from .servers import ROOT

ARCHIVE = Path(__file__).with_name("previous_release.tar.xz")
SHARED = ("models", "names/bird_names.xz")  # data, which is the same in both


def unpack(folder: Path) -> Path:
    """Unpack it into a folder; with its models it runs there. The folder."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    for name in SHARED:
        (folder / name).symlink_to(ROOT / name)
    return folder
