"""Resampling of images and seeds, with draws that are values: equal data give equal results.

The draws depend on the numbers of images and seeds alone, so that whatever is compared is resampled
alike: the same images, and the same seeds, for all methods.
"""

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray

from data.draws import WORDS_PER_INDEX, integers_below, random_bits

Array = NDArray[np.float64]
REPLICATES = 10_000
SEED = 0
EXHAUSTIVE = 12
"""Up to so many images all ways to flip signs are gone through."""
_AT_A_TIME = 2**22
"""Draws in memory."""


def resampled_means(scores: Mapping[str, Array], seeds_too: bool) -> dict[str, Array]:
    """Return the means of crossed bootstrap replicates of images and, if wanted, of seeds.

    Args:
        scores: `[seeds, images]` by method; of one number of images.
        seeds_too: whether seeds are resampled besides images; with a few of them, such replicates
            vary less than the choice of seeds does.

    Returns:
        `[REPLICATES]` by method; replicate by replicate of the same images.

    Source: Owen, The pigeonhole bootstrap (2007).
    """
    (images,) = {array.shape[1] for array in scores.values()}
    means: dict[str, list[Array]] = {name: [] for name in scores}
    for first, weights in _weights("images", images):
        for name, array in scores.items():
            seeds = array.shape[0]
            if seeds_too:
                of_seeds = _weights_from("seeds", seeds, first, len(weights))
                means[name].append(((of_seeds @ array) * weights).sum(axis=1))
            else:
                means[name].append(weights @ array.mean(axis=0))
    return {name: np.concatenate(parts) for name, parts in means.items()}


def _weights(what: str, count: int) -> Iterator[tuple[int, Array]]:
    """Yield weights of a sample's members in the replicates, `[some, count]`, each row of sum 1."""
    some = max(1, _AT_A_TIME // count)
    for first in range(0, REPLICATES, some):
        yield first, _weights_from(what, count, first, min(some, REPLICATES - first))


def _weights_from(what: str, count: int, first: int, replicates: int) -> Array:
    per_replicate = -(-count // WORDS_PER_INDEX)
    labels: list[str | int] = ["bootstrap", SEED, what, count]
    bits = random_bits(labels, replicates * per_replicate, first * per_replicate)
    drawn = integers_below(bits.reshape(replicates, -1)[:, :count], count)
    places = drawn + count * np.arange(replicates)[:, None]
    counts = np.bincount(places.ravel(), minlength=replicates * count)
    return counts.reshape(replicates, count) / count


def sign_flip_p(differences: Array) -> float:
    """Return the two-sided p of the sign-flip permutation test of the mean over images.

    Exact up to `EXHAUSTIVE` images; else from `REPLICATES` draws and what was observed.

    Args:
        differences: `[seeds, images]`; seeds are averaged.
    """
    per_image = differences.mean(axis=0)
    images = per_image.size
    # Sums of the same numbers in another order differ by less.
    bound = abs(float(per_image.sum())) - 1e-12 * float(np.abs(per_image).sum())
    if images <= EXHAUSTIVE:
        flips = np.array([*product((-1.0, 1.0), repeat=images)])
        return float((np.abs(flips @ per_image) >= bound).mean())
    words = -(-images // (64 * WORDS_PER_INDEX))
    some, extreme = max(1, _AT_A_TIME // images), 1
    for first in range(0, REPLICATES, some):
        count = min(some, REPLICATES - first)
        bits = random_bits(["sign flips", SEED, images], count * words, first * words)
        flips = np.unpackbits(bits.astype("<u8").view(np.uint8).reshape(count, -1), axis=1)
        sums = per_image.sum() - 2 * (flips[:, :images] @ per_image)
        extreme += int((np.abs(sums) >= bound).sum())
    return extreme / (REPLICATES + 1)
