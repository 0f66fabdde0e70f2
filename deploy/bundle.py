"""Write the source bundle for Elastic Beanstalk: ``python -m deploy.bundle``."""

import sys
import zipfile
from pathlib import Path

from pathspec import GitIgnoreSpec

from inference import LABELS_FILE, MODEL_FILE, PairError
from inference.pair import check_pair

ROOT = Path(__file__).parent.parent
BUNDLE = ROOT / "bundle.zip"
LARGEST = 500 * 10**6  # bytes; Elastic Beanstalk takes no more


def files() -> list[Path]:
    """What production needs of the project, relative to it: what ``.ebignore`` does not leave out."""
    ignored = GitIgnoreSpec.from_lines((ROOT / ".ebignore").read_text(encoding="utf-8").splitlines())
    return [Path(path) for path in sorted(ignored.match_tree_files(ROOT, negate=True))]


def write(bundle: Path) -> int:
    """Write it.

    :return: its size in bytes.
    :raises PairError: the model pair in it could not be used.
    """
    check_pair(ROOT / "models" / MODEL_FILE, ROOT / "models" / LABELS_FILE)
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files():
            archive.write(ROOT / path, path)
    return bundle.stat().st_size


def main() -> None:
    """Write it, and say how large it is."""
    try:
        size = write(BUNDLE)
    except PairError as error:
        sys.exit(f"bundle: {error}")
    if size > LARGEST:
        BUNDLE.unlink()
        sys.exit(f"bundle: {size / 1e6:.0f} MB are more than the {LARGEST / 1e6:.0f} MB that Elastic Beanstalk takes.")
    print(f"{BUNDLE.name}: {size / 1e6:.1f} MB of the {LARGEST / 1e6:.0f} MB that Elastic Beanstalk takes")


if __name__ == "__main__":
    main()
