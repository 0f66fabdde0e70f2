"""Why Keras could not load a network, as a sentence for the person whose network it is.

Keras's own messages quote whole descriptions before they come to the reason, and advise what cannot be done here.
"""

import errno
import re

from ..errors import first_line, printable
from .keras_layers import UnsupportedLayerError

MAX_QUOTED = 40  # characters of a name in the file
MAX_SEARCHED = 2000  # characters of a message, which may hold names of any length

_BUILD_AGAIN = "Build the network again without it, copy the weights and save that."
_SAVE_WHOLE = "Description and weights are of two networks: save one as a whole, with model.save('name.h5')."
_NOT_OF_KERAS = "its description is not one that Keras wrote. Save the network with model.save('name.h5')."

# What Keras says, and what that means; {0} and so on are the groups.
_MEANINGS = {
    r"deserialization of a .*lambda": f"it holds Python code, and no code from a file is run. {_BUILD_AGAIN}",
    r"(?:Unknown layer: |Could not locate \w+ |Could not deserialize (?:class |function )?)'([^']+)'": (
        f"it needs '{{0}}', which is not a part of Keras, and its code is not in the file. {_BUILD_AGAIN}"
    ),
    r"Unrecognized keyword arguments passed to (\w+): \{'(\w+)'": (
        f"a layer of the class '{{0}}' has the setting '{{1}}', which is unknown here. {_BUILD_AGAIN}"
    ),
    r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'": (
        f"a layer of the class '{{0}}' has the setting '{{1}}', which is unknown here. {_BUILD_AGAIN}"
    ),
    r"Layer count mismatch .*expected (\d+) layers, found (\d+)": (
        f"its description has {{0}} layers with weights, and there are weights of {{1}}. {_SAVE_WHOLE}"
    ),
    r"Weight count mismatch for layer .*named (\S+) in.*expects (\d+) weight.*Received (\d+)": (
        f"its layer '{{0}}' needs {{1}} arrays of weights, and there are {{2}}. {_SAVE_WHOLE}"
    ),
    r"Layer '([^']+)' expected (\d+) variables, but received (\d+)": (
        f"its layer '{{0}}' needs {{1}} arrays of weights, and there are {{2}}. {_SAVE_WHOLE}"
    ),
    r"Shape mismatch in layer .*named ([^)]+)\).*expects shape (\(.*?\))\. .*with shape (\(.*?\))": (
        f"the weights of its layer '{{0}}' need the shape {{1}} and have {{2}}. {_SAVE_WHOLE}"
    ),
    r"object <\w+ name=([^,]+),.*variable\.shape=(\(.*?\)), .*value\.shape=(\(.*?\))": (
        f"the weights of its layer '{{0}}' need the shape {{1}} and have {{2}}. {_SAVE_WHOLE}"
    ),
    r"no defined input shape|has never been called|has not yet been built": (
        "it does not say how large its images are. Build it again with keras.Input((224, 224, 3)) at its beginning, "
        "copy the weights and save that."
    ),
    r"read data|unable to open object": "its weights are damaged. Copy or download the file again.",
    r"not a valid Keras configuration|instance of `KerasSaveable`": _NOT_OF_KERAS,
}


def explain(error: Exception) -> str:
    """Why a network cannot be loaded, in words that follow a colon.

    :param error: what Keras raised, or what was raised on the way to it.
    """
    if isinstance(error, UnsupportedLayerError):
        return printable(str(error))
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "there is no space left for a copy of it in the folder for temporary files."
    if isinstance(error, KeyError | IndexError):
        return _NOT_OF_KERAS
    reason = _innermost(str(error))
    for said, meaning in _MEANINGS.items():
        match = re.search(said, reason, re.DOTALL | re.IGNORECASE)
        if match:
            return printable(meaning.format(*(f"{group:.{MAX_QUOTED}}" for group in match.groups())))
    return first_line(reason or type(error).__name__)


def _innermost(message: str) -> str:
    """What one of Keras's messages says without the descriptions that it quotes."""
    _around, _, reason = message.rpartition("Exception encountered: ")
    return reason.partition(" Full object config:")[0].partition("Received: config=")[0].strip()[:MAX_SEARCHED]
