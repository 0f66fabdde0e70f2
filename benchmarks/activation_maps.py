"""Whether activation maps show what the network looked at: python -m benchmarks.activation_maps DATA, <label>/*.jpg

Prints as JSON how many photos there are, how much less sure the network is on the mean after the marked tenth of a
photo was deleted, after a tenth was deleted by chance, and in which share of the photos the first is more.
"""

import json
import sys
from pathlib import Path

import numpy as np

from inference.photo import open_photo
from tests.support.deletion import confidence_drops

from .parts import classifier


def main() -> None:
    images = [open_photo(path).pixels() for path in sorted(Path(sys.argv[1]).glob("*/*.jpg"))]
    marked, patches, pixels = confidence_drops(classifier(), images).T
    metrics = {
        "photos": len(images),
        "drop, marked": marked.mean(),
        "drop, random patches": patches.mean(),
        "drop, random pixels": pixels.mean(),
        "photos where marked drops more than random patches": np.mean(marked > patches),
        "photos where marked drops more than random pixels": np.mean(marked > pixels),
    }
    print(json.dumps({name: round(float(value), 4) for name, value in metrics.items()}, indent=2))


if __name__ == "__main__":
    main()
