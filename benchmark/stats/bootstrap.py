"""Scores of images and seeds → bootstrap replicates of means, and the p of a sign-flip test.

The draws depend on the numbers of images and seeds alone. So equal data give equal results, and all
methods that are compared are resampled alike: the same images. Seeds are drawn for each method.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.intervals import Array, Sample
from data.draws import WORDS_PER_INDEX, integers_below, random_bits

REPLICATES = 10_000
SEED = 0
FEWEST_SEEDS = 3
"""Fewer are not resampled: two give three different samples."""
EXHAUSTIVE = 12
"""Up to so many images all ways to flip signs are gone through."""
_AT_A_TIME = 2**22
"""Draws in memory."""


def resampled_means(samples: Mapping[str, Sample], seeds_too: bool) -> dict[str, Array]:
    """Return the means of crossed bootstrap replicates of images and, if wanted, of seeds.

    Args:
        samples: by method; of the same images. Groups of images are drawn whole.
        seeds_too: whether seeds are resampled besides images; with a few of them, such replicates
            vary less than the choice of seeds does.

    Returns:
        `[REPLICATES]` by method; replicate by replicate of the same images.

    Source: Owen, The pigeonhole bootstrap (2007).
    """
    (images,) = {sample.scores.shape[1] for sample in samples.values()}
    groups = next((s.groups for s in samples.values() if s.groups is not None), np.arange(images))
    sizes = np.bincount(groups)
    sums = {
        name: np.array([np.bincount(groups, weights=row) for row in sample.scores])
        for name, sample in samples.items()
    }
    means: dict[str, list[Array]] = {name: [] for name in samples}
    for first, number in _parts(sizes.size):
        drawn = _counts("images", sizes.size, first, number)
        for name, of_groups in sums.items():
            seeds = of_groups.shape[0]
            if seeds_too:
                of_seeds = _counts(f"seeds of {name}", seeds, first, number) / seeds
                totals = ((of_seeds @ of_groups) * drawn).sum(axis=1)
            else:
                totals = drawn @ of_groups.mean(axis=0)
            means[name].append(totals / (drawn @ sizes))
    return {name: np.concatenate(parts) for name, parts in means.items()}


def _parts(images: int) -> Iterator[tuple[int, int]]:
    """Yield the first replicate and the number of those whose draws fit into memory together."""
    some = max(1, _AT_A_TIME // images)
    for first in range(0, REPLICATES, some):
        yield first, min(some, REPLICATES - first)


def _counts(what: str, count: int, first: int, replicates: int) -> NDArray[np.int64]:
    """Return how often each member of a sample is drawn, `[replicates, count]`."""
    per_replicate = -(-count // WORDS_PER_INDEX)
    labels: list[str | int] = ["bootstrap", SEED, what, count]
    bits = random_bits(labels, replicates * per_replicate, first * per_replicate)
    return counts_of(integers_below(bits.reshape(replicates, -1)[:, :count], count))


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
        differences: one for each image or group, seeds averaged.
    """
    images = differences.size
    # Sums of the same numbers in another order differ by less.
    bound = abs(float(differences.sum())) - 1e-12 * float(np.abs(differences).sum())
    if images <= EXHAUSTIVE:
        flips = np.array([*product((-1.0, 1.0), repeat=images)])
        return float((np.abs(flips @ differences) >= bound).mean())
    extreme = 1
    for first, number in _parts(images):
        sums = differences.sum() - 2 * (_flips(images, first, number) @ differences)
        extreme += int((np.abs(sums) >= bound).sum())
    return extreme / (REPLICATES + 1)


@lru_cache(maxsize=2)  # a report asks hundreds of times for those of as many images
def _flips(images: int, first: int, replicates: int) -> Array:
    """Return which signs are flipped, `[replicates, images]` of 0 and 1."""
    words = -(-images // (64 * WORDS_PER_INDEX))
    bits = random_bits(["sign flips", SEED, images], replicates * words, first * words)
    flips = np.unpackbits(bits.astype("<u8").view(np.uint8).reshape(replicates, -1), axis=1)
    return flips[:, :images].astype(np.float64)
