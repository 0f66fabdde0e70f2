"""What an operator may choose about the network."""

from dataclasses import dataclass
from enum import StrEnum

from .input_range import InputRange
from .judge import STRICTNESS


class EngineName(StrEnum):
    """What runs the network."""

    TENSORFLOW = "tensorflow"
    ONNX = "onnx"  # ONNX Runtime, with what ``compile`` made of the .h5

    @property
    def in_words(self) -> str:
        """The name that its makers give it."""
        return "TensorFlow" if self is EngineName.TENSORFLOW else "ONNX Runtime"


class Precision(StrEnum):
    """The numbers that the network computes with."""

    INT8 = "int8"  # only compiled
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"  # only with TensorFlow


@dataclass(frozen=True)
class NetworkOptions:
    """How the network of a pair is to be run; None where the app chooses.

    :param engine: by default ONNX Runtime if the network was compiled for it and there is no GPU, otherwise TensorFlow.
    :param precision: by default int8 if the network was compiled to it, otherwise float32.
    :param input_range: of the pixel values that the network is given; by default the one that its first layers ask for.
    :param strictness: the share of photos of known species, 0 to 1, that its verdicts may refuse.
    """

    engine: EngineName | None = None
    precision: Precision | None = None
    input_range: InputRange | None = None
    strictness: float = STRICTNESS
