"""The head of a network that ends in global average pooling and one dense layer, and what follows from it.

Pooling and a dense layer are both linear. So the score of a species is the mean of what each place of the feature map
adds to it: its class activation map (Zhou et al. 2016, arXiv:1512.04150). And as the layers before them are
convolutions, they take larger images, too; the dense layer, applied to a part of the larger map, scores that part.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PooledHead:
    """The dense layer.

    :param kernel: of the dense layer, ``float32[channels, n]``.
    :param bias: of the dense layer, ``float32[n]``.
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]

    def scores(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The scores of each place, before the softmax.

        :param features: ``float32[..., channels]``.
        :return: ``float32[..., n]``.
        """
        scores: NDArray[np.float32] = features @ self.kernel + self.bias
        return scores

    def activation_map(self, features: NDArray[np.float32], index: int) -> tuple[tuple[float, ...], ...]:
        """How much each place adds to the score of one species, beyond what it adds to all of them.

        :param features: of one image, ``float32[rows, columns, channels]``.
        :param index: of the species.
        :return: rows of shares of the largest, 0 to 1; places that speak against the species have 0.
        """
        # The difference of two scores, as the score of the difference of two kernels: one product instead of n.
        kernel = self.kernel[:, index] - self.kernel.mean(axis=1)
        scores = np.einsum("rcf,f->rc", finite(features), kernel) + self.bias[index] - self.bias.mean()
        additions = np.maximum(scores, 0)
        shares = additions / max(float(additions.max()), 1e-6)
        return tuple(tuple(round(float(share), 3) for share in row) for row in shares)


def finite(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features with 0 instead of NaN and infinity, which a network gives that divides by the deviation of an image."""
    return np.nan_to_num(features, nan=0, posinf=0, neginf=0)
