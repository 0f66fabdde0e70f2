"""Files in an archive that this project wrote, uncompressed: read without running what is in them, and without taking
more memory than they have bytes.
"""

import math
import zipfile
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

_READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The content of a file in an archive.

    :param most: bytes that it may have.
    :raises Exception: of any kind: it is missing, compressed, damaged or too large.
    """
    member = archive.getinfo(name)
    if member.compress_type != zipfile.ZIP_STORED or member.file_size > most:
        raise ValueError("compressed, so that it might be far larger than the archive, or too large")
    return archive.read(member)


def read_array(archive: zipfile.ZipFile, name: str, most: int) -> NDArray[Any]:
    """A ``.npy`` file of numbers or texts. NumPy's own function allocates as much memory as the header asks for.

    :param most: bytes that it may have.
    :raises Exception: of any kind: as above, or it is no such array.
    """
    file = BytesIO(read_member(archive, name, most))
    shape, is_column_major, dtype = _READ_HEADER[np.lib.format.read_magic(file)](file)
    if dtype.kind not in "fiU" or is_column_major:
        raise ValueError("not an array of numbers or texts, row by row")
    return np.frombuffer(file.read(), dtype, math.prod(shape)).reshape(shape)
