"""What bfloat16 costs in accuracy: python -m benchmarks.precision DATA, where DATA holds <label>/*.jpg

Prints as JSON how many pictures there are and how many of them are recognised in each precision.
"""

import json
import sys
from pathlib import Path

from inference.photo import open_photo

from .parts import classifier


def main() -> None:
    paths = sorted(Path(sys.argv[1]).glob("*/*.jpg"))
    right = dict.fromkeys(("float32", "bfloat16"), 0)
    classifiers = {precision: classifier(precision) for precision in right}
    for path in paths:
        pixels = open_photo(path).pixels()
        for precision, each in classifiers.items():
            right[precision] += each.classify(pixels).label == path.parent.name
    print(json.dumps({"pictures": len(paths)} | right))


if __name__ == "__main__":
    main()
