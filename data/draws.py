"""Labels and an index -> random bits: a value, not a state.

A draw is a pure function of its labels and an index: the labels, as a JSON list, are hashed to the
key of a Philox 4x64-10 generator (Salmon et al. 2011), and the index is its counter. So a draw
depends neither on what was drawn before nor on batch size, worker, process or library version.
"""

import hashlib
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Label = str | int
WORDS_PER_INDEX = 4


def random_bits(labels: Sequence[Label], count: int, first: int = 0) -> NDArray[np.uint64]:
    """Return the draws of `count` consecutive indices under a list of labels.

    Args:
        labels: what the draw is for, e.g. `[seed, "training mask", epoch]`. A JSON list keeps
            `["a_b", "c"]` and `["a", "b_c"]` apart.
        count: number of indices.
        first: the first index.

    Returns:
        `[count, 4]` uint64; row `i` depends on `labels` and `first + i` alone.
    """
    digest = hashlib.sha256(json.dumps(list(labels)).encode()).digest()
    key = np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)
    # NumPy advances the counter before it generates, so index 0 is the counter after -1.
    counter = (first - 1) % 2**256
    raw = np.random.Philox(key=key, counter=counter).random_raw(count * WORDS_PER_INDEX)
    return np.asarray(raw, dtype=np.uint64).reshape(count, WORDS_PER_INDEX)


def integers_below(bits: NDArray[np.uint64], bound: int) -> NDArray[np.int64]:
    """Map bits to integers in `[0, bound)`, exactly, on every platform.

    The upper 32 bits are multiplied by the bound and shifted; the bias is below `bound / 2**32`.

    Raises:
        ValueError: the bound is outside `[1, 2**31]`.
    """
    if not 1 <= bound <= 2**31:
        raise ValueError(f"bound {bound} is outside [1, 2**31]")
    upper = bits >> np.uint64(32)
    return ((upper * np.uint64(bound)) >> np.uint64(32)).astype(np.int64)


def uniforms(bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Map bits to the 2**53 equally spaced numbers of `[0, 1)`."""
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
