"""Hashes of images -> their splits: what an image shows decides, not its name or its place."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data.errors import InputError

SPLITS = ("train", "val", "test")


class SplitSpec(BaseModel):
    """Sizes of the splits: all three as counts, or all three as fractions that add up to 1.

    Where a dataset has official splits, those are kept and the spec cuts only what they leave open.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(ge=0)
    train: int | float = Field(ge=0)
    val: int | float = Field(ge=0)
    test: int | float = Field(ge=0)
    digest: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _counts_or_fractions(self) -> "SplitSpec":
        sizes = (self.train, self.val, self.test)
        if all(isinstance(size, int) for size in sizes):
            return self
        if any(isinstance(size, int) and size not in (0, 1) for size in sizes):
            raise ValueError(f"train, val, test must be all counts or all fractions, not {sizes}")
        if abs(sum(sizes) - 1) > 1e-9:  # rounding of decimal fractions
            raise ValueError(f"the fractions {sizes} add up to {sum(sizes)}, not to 1")
        return self

    def counts(self, available: int) -> tuple[int, int, int]:
        """Return the exact sizes of train, val and test for a number of images.

        Fractions are rounded down and the remainder goes to the last split whose fraction is not
        zero (1,024 at .8/.1/.1 is 819/102/103).

        Raises:
            InputError: fewer images than the counts ask for.
        """
        if all(isinstance(size, int) for size in (self.train, self.val, self.test)):
            wanted = (int(self.train), int(self.val), int(self.test))
            if sum(wanted) > available:
                raise InputError(
                    f"splits ask for {sum(wanted)} images {wanted}, the source has {available}"
                )
            return wanted
        # 1e-9: so that .1 * 30 counts as 3, whatever the last bit of the product is.
        sizes = [int(size * available + 1e-9) for size in (self.train, self.val, self.test)]
        last = max(i for i, size in enumerate((self.train, self.val, self.test)) if size > 0)
        sizes[last] += available - sum(sizes)
        return sizes[0], sizes[1], sizes[2]


@dataclass(frozen=True)
class Candidate:
    """What the split needs to know of an image."""

    sha256: str
    """Hash of the pixels, hexadecimal."""
    group: str | None = None
    """Images of one group go to one split; without one, an image is a group of its own."""
    official: str | None = None
    """Split that the dataset itself prescribes."""


def sort_key(seed: int, sha256: str) -> str:
    """Return the place of an image in the split's order, as a hexadecimal string."""
    return hashlib.sha256(f"{seed}:{sha256}".encode()).hexdigest()


def assign_splits(candidates: Sequence[Candidate], spec: SplitSpec) -> list[str | None]:
    """Assign each image to `train`, `val`, `test`, or to none.

    Images that are equal to the bit, or of one group, stay together. The place of such a cluster is
    that of its image with the least hash, so that large ones fall no earlier than small ones. A
    split takes whole clusters until it has its size, so that a cut moves by less than a cluster. An
    image that also stands in an official split, or is of a group that does, is left out of the
    others (None), as is what exceeds the counts.

    Raises:
        InputError: fewer images than the spec asks for.
    """
    cluster_of = _clusters(candidates)
    members: dict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(cluster_of):
        members[number].append(index)
    assigned: list[str | None] = [None] * len(candidates)
    free: list[list[int]] = []
    for cluster in members.values():
        official = {c for i in cluster if (c := candidates[i].official) is not None}
        if not official:
            free.append(cluster)
            continue
        # Of two official splits the later one wins: an image of the test set is never trained on.
        keep = max(official, key=SPLITS.index)
        for index in cluster:
            if candidates[index].official == keep:
                assigned[index] = keep
    free.sort(key=lambda c: sort_key(spec.seed, min(candidates[i].sha256 for i in c)))
    counts = spec.counts(sum(map(len, free)))
    position, ends = 0, [counts[0], counts[0] + counts[1], sum(counts)]
    for cluster in free:
        split = next((s for s, end in zip(SPLITS, ends, strict=True) if position < end), None)
        for index in cluster:
            assigned[index] = split
        position += len(cluster)
    return assigned


def _clusters(candidates: Sequence[Candidate]) -> list[int]:
    """Return a cluster number for each image: equal pixels or equal group are one cluster."""
    parent = list(range(len(candidates)))

    def find(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first_with: dict[tuple[str, str], int] = {}
    for index, candidate in enumerate(candidates):
        keys = [("sha256", candidate.sha256)]
        if candidate.group is not None:
            keys.append(("group", candidate.group))
        for key in keys:
            parent[find(index)] = find(first_with.setdefault(key, index))
    return [find(index) for index in range(len(candidates))]


def find_leaks(names: Sequence[str], splits: Sequence[str]) -> list[str]:
    """Return the hashes of images, or the names of groups, that stand in more than one split."""
    places = {pair for pair in zip(names, splits, strict=True)}
    return sorted(name for name, n in Counter(name for name, _ in places).items() if n > 1)


def split_digest(sha256s: Sequence[str], splits: Sequence[str]) -> str:
    """Return the SHA-256 of who is in which split; independent of names and order."""
    lines = sorted(f"{split} {h}\n" for h, split in zip(sha256s, splits, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
