"""What each engine and precision costs in accuracy: python -m benchmarks.precision DATA, where DATA holds <label>/*.jpg

Prints as JSON how many photos there are, and for each engine and precision how many of them are named correctly, how
many get another label than from TensorFlow in float32, and the share of each verdict, if the model has verdicts.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference import Identification
from inference.compiled import find_compiled
from inference.options import EngineName, Precision
from inference.pair import Pair
from inference.photo import open_photo
from inference.processor import has_bfloat16

from .parts import checked_pair, classifier_in

REFERENCE = (EngineName.TENSORFLOW, Precision.FLOAT32)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    paths = sorted(parser.parse_args().data.glob("*/*.jpg"))
    images = [open_photo(path).pixels() for path in paths]
    labels = [path.parent.name for path in paths]
    reference = answers(*REFERENCE, images)
    engines = {in_words(*REFERENCE): measured(reference, reference, labels)}
    for other in others(checked_pair()):
        engines[in_words(*other)] = measured(answers(*other, images), reference, labels)
    print(json.dumps({"photos": len(paths), "engines": engines}, indent=1))


def others(pair: Pair) -> list[tuple[EngineName, Precision]]:
    """The engines and precisions that can be compared with the reference here."""
    compiled = find_compiled(pair.model_file, pair.sha256)
    onnx = [(EngineName.ONNX, precision) for precision in compiled.precisions] if compiled else []
    return [*([(EngineName.TENSORFLOW, Precision.BFLOAT16)] if has_bfloat16() else []), *onnx]


def in_words(engine: EngineName, precision: Precision) -> str:
    return f"{engine.in_words}, {precision}"


def answers(engine: EngineName, precision: Precision, images: Sequence[NDArray[np.uint8]]) -> list[Identification]:
    """What the network says about each image."""
    network = classifier_in(engine, precision)
    size = network.batch_size
    batches = [np.stack(images[start : start + size]) for start in range(0, len(images), size)]
    return [answer for batch in batches for answer in network.classify_batch(batch)]


def measured(
    found: Sequence[Identification], reference: Sequence[Identification], labels: Sequence[str]
) -> dict[str, object]:
    """How the answers compare with the labels, and with the answers of the reference."""
    verdicts = Counter(answer.verdict for answer in found if answer.verdict)
    return {
        "named correctly": sum(answer.label == label for answer, label in zip(found, labels, strict=True)),
        "labels changed": sum(one.label != other.label for one, other in zip(found, reference, strict=True)),
        "verdicts": {verdict: round(count / len(found), 4) for verdict, count in verdicts.most_common()},
        "verdicts changed": sum(one.verdict != other.verdict for one, other in zip(found, reference, strict=True)),
    }


if __name__ == "__main__":
    main()
