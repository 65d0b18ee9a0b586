"""Random numbers that depend on a seed and a count alone, so that any batch can be made again at any time."""

from __future__ import annotations

import numpy as np

TRANSFORM, SKIP, SHUFFLE_FILES, SHUFFLE_ROWS, SHUFFLE_IMAGES, WINDOWS = range(6)
_WORD = (1 << 64) - 1


def generator(seed: int, stream: int, number: int, part: int = 0) -> np.random.Generator:
    """A generator of its own for item ``number`` (a batch, an epoch) and ``part`` of one of the streams above.

    Philox counts blocks of numbers in the low words of its 256-bit counter. The item stands in the highest
    words, so that no two items ever share a number, however many each draws.
    """
    counter = [0, part & _WORD, number & _WORD, stream]
    return np.random.Generator(np.random.Philox(key=[seed & _WORD, 0], counter=counter))
