"""Take a candidate into use that training did not promote by itself, or go back to the pair before."""

import argparse
import logging
import sys
from pathlib import Path

from inference.errors import PairError

from .command import INTERRUPTED, path_argument
from .promotion import PREVIOUS_FOLDER, go_back, promote

log = logging.getLogger(__name__)


def main() -> None:
    options = parse_options()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        (go_back if options.back else promote)(options.models)
    except PairError as error:
        sys.exit(f"promote: {error}")
    except OSError as error:
        sys.exit(f"promote: {error.filename or options.models}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    log.info(in_use(options.models))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.promote", description=__doc__)
    parser.add_argument(
        "models",
        type=path_argument,
        nargs="?",
        default=Path("models"),
        help="the folder of the pair in use, with the candidate in candidate/ (default: %(default)s)",
    )
    parser.add_argument(
        "--back", action="store_true", help="go back to the pair in previous/; the pair in use takes its place there"
    )
    return parser.parse_args()


def in_use(models: Path) -> str:
    """What to say when another pair is in use."""
    return (
        f"{models} holds another pair now; the one before is in {models / PREVIOUS_FOLDER}. "
        f"python -m training.promote {models} --back exchanges them again. A running site takes the new one when it is "
        "reloaded (docs/deploy.md)."
    )


if __name__ == "__main__":
    main()
