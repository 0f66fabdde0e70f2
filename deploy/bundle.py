"""Write the source bundle for Elastic Beanstalk: ``python -m deploy.bundle``."""

import sys
import zipfile
from pathlib import Path

from pathspec import GitIgnoreSpec

from inference import LABELS_FILE, MODEL_FILE
from inference.errors import PairError
from inference.pair import check_pair

from .needed_packages import why_not_compiled

ROOT = Path(__file__).parent.parent
BUNDLE = ROOT / "bundle.zip"
MAX_SIZE = 500 * 10**6  # bytes; Elastic Beanstalk refuses a larger one


def bundled_files() -> list[Path]:
    """The files of the project that production needs: those that ``.ebignore`` does not exclude.

    :return: paths relative to the project's folder, sorted.
    """
    ignored = GitIgnoreSpec.from_lines((ROOT / ".ebignore").read_text(encoding="utf-8").splitlines())
    return [Path(path) for path in sorted(ignored.match_tree_files(ROOT, negate=True))]


def write_bundle(bundle: Path) -> int:
    """Write the bundle.

    :param bundle: the ZIP file to write.
    :return: its size in bytes.
    :raises PairError: the app could not load the model pair in it.
    """
    check_pair(ROOT / "models" / MODEL_FILE, ROOT / "models" / LABELS_FILE)
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in bundled_files():
            archive.write(ROOT / path, path)
    return bundle.stat().st_size


def main() -> None:
    """Write ``bundle.zip`` and print its size, or exit with the reason why there is none.

    If the instances will install TensorFlow, say that, too: they need more memory than the bundle asks for.
    """
    try:
        size = write_bundle(BUNDLE)
    except PairError as error:
        sys.exit(f"bundle: {error}")
    if size > MAX_SIZE:
        BUNDLE.unlink()
        sys.exit(f"bundle: {size / 1e6:.0f} MB are more than the {MAX_SIZE / 1e6:.0f} MB that Elastic Beanstalk takes.")
    print(f"{BUNDLE.name}: {size / 1e6:.1f} MB of the {MAX_SIZE / 1e6:.0f} MB that Elastic Beanstalk takes")
    if why := why_not_compiled(ROOT / "models" / MODEL_FILE, "auto"):
        print(f"{BUNDLE.name}: {why} So it installs TensorFlow, which needs 4 GiB (docs/deploy.md).", file=sys.stderr)


if __name__ == "__main__":
    main()
