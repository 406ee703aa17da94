"""Scores of images and seeds → bootstrap replicates of means, and the p of a sign-flip test.

The draws depend on the numbers of images and seeds alone. So equal data give equal results, and all
methods that are compared are resampled alike: the same images, and the same seeds.
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
    for first, number in _parts(images):
        of_images = _weights("images", images, first, number)
        for name, array in scores.items():
            if seeds_too:
                of_seeds = _weights("seeds", array.shape[0], first, number)
                means[name].append(((of_seeds @ array) * of_images).sum(axis=1))
            else:
                means[name].append(of_images @ array.mean(axis=0))
    return {name: np.concatenate(parts) for name, parts in means.items()}


def _parts(images: int) -> Iterator[tuple[int, int]]:
    """Yield the first replicate and the number of those whose draws fit into memory together."""
    some = max(1, _AT_A_TIME // images)
    for first in range(0, REPLICATES, some):
        yield first, min(some, REPLICATES - first)


def _weights(what: str, count: int, first: int, replicates: int) -> Array:
    """Return the weights of a sample's members, `[replicates, count]`, each row of sum 1."""
    per_replicate = -(-count // WORDS_PER_INDEX)
    labels: list[str | int] = ["bootstrap", SEED, what, count]
    bits = random_bits(labels, replicates * per_replicate, first * per_replicate)
    return counts_of(integers_below(bits.reshape(replicates, -1)[:, :count], count)) / count


def counts_of(drawn: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often each member was drawn, `[replicates, count]`, from the indices drawn."""
    replicates, count = drawn.shape
    places = drawn + count * np.arange(replicates)[:, None]
    return np.bincount(places.ravel(), minlength=drawn.size).reshape(replicates, count)


def sign_flip_p(differences: Array) -> float:
    """Return the two-sided p of the sign-flip permutation test of the mean over images.

    Exact up to `EXHAUSTIVE` images; else from `REPLICATES` draws and what was observed. It is
    `scipy.stats.permutation_test` with draws that no version of a library changes, in a fifteenth
    of its time.

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
    extreme = 1
    for first, count in _parts(images):
        bits = random_bits(["sign flips", SEED, images], count * words, first * words)
        flips = np.unpackbits(bits.astype("<u8").view(np.uint8).reshape(count, -1), axis=1)
        sums = per_image.sum() - 2 * (flips[:, :images] @ per_image)
        extreme += int((np.abs(sums) >= bound).sum())
    return extreme / (REPLICATES + 1)
