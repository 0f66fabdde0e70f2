"""Which photos are copies of each other, found by a perceptual hash, whatever their size and quality."""

from collections.abc import Iterator, Sequence

import numpy as np

from inference.perceptual_hash import MAX_HASH_DISTANCE

_PAIRS_AT_A_TIME = 2**24  # pairs of hashes compared in one step; takes 130 MB


def near_duplicates(hashes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs of indices, the lower first, whose hashes differ in at most ``MAX_HASH_DISTANCE`` bits."""
    bits = np.array(hashes, dtype="uint64")
    rows = max(1, _PAIRS_AT_A_TIME // max(1, len(bits)))
    for start in range(0, len(bits), rows):
        distances = np.bitwise_count(bits[start : start + rows, np.newaxis] ^ bits)
        for first, second in np.argwhere(distances <= MAX_HASH_DISTANCE):
            if start + first < second:
                yield int(start + first), int(second)


def duplicate_groups(hashes: Sequence[int]) -> list[list[int]]:
    """The indices of all hashes, in groups: near-duplicates, and near-duplicates of those, are in one group.

    Most groups have one member.
    """
    group_of = {index: [index] for index in range(len(hashes))}
    for first, second in near_duplicates(hashes):
        if group_of[first] is not group_of[second]:
            group_of[first] += group_of[second]
            group_of.update(dict.fromkeys(group_of[second], group_of[first]))
    return list({id(group): group for group in group_of.values()}.values())
