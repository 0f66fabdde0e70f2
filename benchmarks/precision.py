"""The accuracy with bfloat16 and with float32: python -m benchmarks.precision DATA, where DATA holds <label>/*.jpg

Prints as JSON how many photos there are, and how many of them are named correctly in each precision.
"""

import json
import sys
from pathlib import Path

from inference.photo import open_photo

from .parts import classifier


def main() -> None:
    paths = sorted(Path(sys.argv[1]).glob("*/*.jpg"))
    correct = dict.fromkeys(("float32", "bfloat16"), 0)
    classifiers = {precision: classifier(precision) for precision in correct}
    for path in paths:
        pixels = open_photo(path).pixels()
        for precision, each in classifiers.items():
            correct[precision] += each.classify(pixels).label == path.parent.name
    print(json.dumps({"photos": len(paths)} | correct))


if __name__ == "__main__":
    main()
