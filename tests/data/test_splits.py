"""Splits by content: exact counts, stability, clusters that stay together, official splits."""

import hashlib
import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from data.errors import InputError
from data.splits import SPLITS, Candidate, SplitSpec, assign_splits, find_leaks, split_digest
from tests.support.promises import tally

TENTHS = SplitSpec(seed=42, train=0.8, val=0.1, test=0.1)


def content(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def singles(count: int, first: int = 0) -> list[Candidate]:
    return [Candidate(content(first + i)) for i in range(count)]


def sizes(places: list[str | None]) -> tuple[int, ...]:
    return tuple(Counter(places)[split] for split in SPLITS)


@pytest.mark.parametrize(
    ("fractions", "available", "expected"),
    [
        ((0.8, 0.1, 0.1), 1024, (819, 102, 103)),
        ((0.29, 0.31, 0.4), 100, (29, 31, 40)),  # in floating point .29 * 100 < 29
        ((0.8, 0.1, 0.1), 0, (0, 0, 0)),
        ((0.9, 0.1, 0), 25, (22, 3, 0)),
        ((0.5, 0, 0.5), 5, (2, 0, 3)),
        ((0, 0.5, 0.5), 5, (0, 2, 3)),
        ((1.0, 0, 0), 7, (7, 0, 0)),
        ((1 / 3, 1 / 3, 1 / 3), 10, (3, 3, 4)),
        ((4, 2, 1), 10, (4, 2, 1)),
        ((4, 0, 1), 5, (4, 0, 1)),
    ],
)
def test_counts_are_exact(
    fractions: tuple[float, float, float], available: int, expected: tuple[int, int, int]
) -> None:
    spec = SplitSpec(seed=0, train=fractions[0], val=fractions[1], test=fractions[2])
    assert spec.counts(available) == expected
    assert sizes(assign_splits(singles(available), spec)) == expected


@pytest.mark.promise("configuration")
@pytest.mark.parametrize(
    ("train", "val", "test", "message"),
    [
        (0.8, 0.1, 0.2, "add up to 1.1"),
        (0.8, 10, 0.1, "all counts or all fractions"),
        (-1, 1, 1, "greater than or equal to 0"),
        (float("nan"), 0.5, 0.5, "nan"),
        (float("inf"), 0.5, 0.5, "inf"),
    ],
)
def test_impossible_sizes_are_refused(train: float, val: float, test: float, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SplitSpec(seed=0, train=train, val=val, test=test)


def test_too_few_images_are_an_input_error() -> None:
    spec = SplitSpec(seed=0, train=4, val=2, test=1)
    with pytest.raises(InputError, match=r"ask for 7 images \(4, 2, 1\), the source has 6"):
        assign_splits(singles(6), spec)


@pytest.mark.promise("names")
def test_split_follows_the_order_of_the_hashes() -> None:
    order = sorted(range(10), key=lambda i: hashlib.sha256(f"42:{content(i)}".encode()).hexdigest())
    places = assign_splits(singles(10), SplitSpec(seed=42, train=5, val=3, test=2))
    assert [places[i] for i in order] == ["train"] * 5 + ["val"] * 3 + ["test"] * 2


@pytest.mark.promise("names")
def test_listing_order_plays_no_part() -> None:
    candidates = singles(200)
    order = random.Random(0).sample(range(200), 200)
    places = assign_splits(candidates, TENTHS)
    assert assign_splits([candidates[i] for i in order], TENTHS) == [places[i] for i in order]


def test_seeds_give_different_splits() -> None:
    other = TENTHS.model_copy(update={"seed": 43})
    assert assign_splits(singles(100), TENTHS) != assign_splits(singles(100), other)


@pytest.mark.promise("names")
@given(st.integers(3, 300), st.integers(0, 10**6))
def test_one_more_image_moves_others_only_over_the_cuts(count: int, added: int) -> None:
    before = assign_splits(singles(count), TENTHS)
    after = assign_splits([*singles(count), Candidate(content(10**9 + added))], TENTHS)
    before_at = [SPLITS.index(place or "") for place in before]
    after_at = [SPLITS.index(place or "") for place in after[:count]]
    for cut in (1, 2):
        inside = [place < cut for place in before_at]
        still = [place < cut for place in after_at]
        forced = abs(sum(still) - sum(inside))
        # An unstable order would also swap images over a cut and leave the counts as they are.
        assert sum(a != b for a, b in zip(inside, still, strict=True)) == forced <= 2


@pytest.mark.promise("names")
@settings(derandomize=True)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 30), st.data())
def test_with_exact_counts_each_cut_lets_one_image_pass(
    train: int, val: int, test: int, spare: int, data: st.DataObject
) -> None:
    spec, count = SplitSpec(seed=3, train=train, val=val, test=test), train + val + test + spare
    new = Candidate(content(10**9 + data.draw(st.integers(0, 10**6))))
    before = assign_splits(singles(count), spec)
    *after, place = assign_splits([*singles(count), new], spec)
    assert Counter([*after, place]) == Counter([*before, None])
    moves = Counter((old, now) for old, now in zip(before, after, strict=True) if old != now)
    # From the split of the new image on, one passes each cut; a split of no image is no stop.
    stops = [split for split in SPLITS if sizes(before)[SPLITS.index(split)]]
    path = [*stops[stops.index(place) :], None] if place else []
    assert moves == Counter(pairwise(path))
    tally("added images followed")


@st.composite
def clustered(draw: st.DrawFn) -> list[Candidate]:
    """Draw candidates with duplicates, groups, and chains of both."""
    contents, groups = st.integers(0, 30).map(content), st.none() | st.sampled_from("abcdef")
    return draw(st.lists(st.builds(Candidate, contents, groups), min_size=1, max_size=60))


@pytest.mark.promise("names")
@given(clustered(), st.randoms())
def test_duplicates_and_groups_stay_together(
    candidates: list[Candidate], shuffler: random.Random
) -> None:
    places = assign_splits(candidates, TENTHS)
    assert all(place in SPLITS for place in places)
    for attribute in ("sha256", "group"):
        seen: dict[str, str | None] = {}
        for candidate, place in zip(candidates, places, strict=True):
            if (value := getattr(candidate, attribute)) is not None:
                assert seen.setdefault(value, place) == place
    order = list(range(len(candidates)))
    shuffler.shuffle(order)
    renamed = [Candidate(c.sha256, c.group and f"{ord(c.group) * 7 % 11}") for c in candidates]
    assert assign_splits([renamed[i] for i in order], TENTHS) == [places[i] for i in order]


@pytest.mark.promise("names")
@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.booleans())
def test_a_cut_moves_by_less_than_a_cluster(numbers: list[int], grouped: bool) -> None:
    """A cluster is of equal images, or of different ones of a group."""
    candidates = [
        Candidate(content(100 * n + i), str(n)) if grouped else Candidate(content(n))
        for i, n in enumerate(numbers)
    ]
    found, wanted = sizes(assign_splits(candidates, TENTHS)), TENTHS.counts(len(numbers))
    largest = max(Counter(numbers).values())
    assert 0 <= found[0] - wanted[0] < largest
    assert 0 <= sum(found[:2]) - sum(wanted[:2]) < largest
    assert sum(found) == len(numbers)


@pytest.mark.promise("names")
@given(clustered(), clustered(), st.integers(0, 30))
def test_groups_that_are_added_move_others_only_over_the_cuts(
    candidates: list[Candidate], more: list[Candidate], train: int
) -> None:
    spec = SplitSpec(seed=5, train=min(train, len(candidates)), val=0, test=0)
    added = [Candidate(f"new{c.sha256}", c.group and f"new {c.group}") for c in more]
    before = assign_splits(candidates, spec)
    after = assign_splits([*candidates, *added], spec)[: len(candidates)]
    # The order of those that were there stays, so the one set is a part of the other.
    assert {i for i, p in enumerate(after) if p} <= {i for i, p in enumerate(before) if p}


def test_large_group_falls_into_a_split_as_often_as_its_share() -> None:
    """Before a group of 20 there are any number of 80 other images, each equally often."""
    group = [Candidate(content(1000 + i), "a") for i in range(20)]
    candidates, places = [*group, *singles(80)], Counter[str | None]()
    for seed in range(500):
        spec = SplitSpec(seed=seed, train=0.5, val=0.2, test=0.3)
        places[assign_splits(candidates, spec)[0]] += 1
    expected = {"train": 50 / 81, "val": 20 / 81, "test": 11 / 81}
    for split, share in expected.items():
        # Five standard deviations of a binomial share.
        assert abs(places[split] / 500 - share) < 5 * (share * (1 - share) / 500) ** 0.5


def test_group_of_an_official_test_image_is_left_out_of_training() -> None:
    official = [Candidate(content(0), "a", "test"), Candidate(content(1), "a")]
    places = assign_splits([*official, *singles(8, first=2)], TENTHS)
    assert places[:2] == ["test", None] and None not in places[2:]


def test_chain_of_duplicate_and_group_is_one_cluster() -> None:
    chain = [
        Candidate(content(0), "a"),
        Candidate(content(1), "a"),
        Candidate(content(1), "b"),
        Candidate(content(2), "b"),
    ]
    for seed in range(20):
        spec = SplitSpec(seed=seed, train=0.4, val=0.3, test=0.3)
        places = assign_splits([*chain, *singles(6, first=10)], spec)
        assert len(set(places[:4])) == 1


def test_official_splits_are_kept_and_the_rest_is_cut() -> None:
    official = [Candidate(content(1000 + i), official="test") for i in range(5)]
    official += [Candidate(content(2000 + i), official="val") for i in range(3)]
    spec = SplitSpec(seed=1, train=0.9, val=0.1, test=0)
    places = assign_splits([*official, *singles(20)], spec)
    assert places[:8] == ["test"] * 5 + ["val"] * 3
    assert sizes(places[8:]) == (18, 2, 0)
    assert places[8:] == assign_splits(singles(20), spec)


def test_training_image_of_the_official_test_set_is_left_out() -> None:
    spec = SplitSpec(seed=1, train=0.5, val=0.5, test=0)
    tests = [Candidate(content(0), official="test"), Candidate(content(1), official="val")]
    candidates = [*tests, *singles(10), Candidate(content(1), official="test")]
    places = assign_splits(candidates, spec)
    assert places[0] == "test" and places[12] == "test"
    assert places[1] is None  # in val and in test: test wins
    assert places[2:4] == [None, None]
    assert sizes(places[4:12]) == (4, 4, 0)


def test_images_beyond_the_counts_are_left_out() -> None:
    places = assign_splits(singles(20), SplitSpec(seed=0, train=8, val=2, test=1))
    assert Counter(places) == {"train": 8, "val": 2, "test": 1, None: 9}


def test_leaks_are_the_hashes_in_two_splits() -> None:
    hashes, places = (
        ["c", "a", "b", "a", "c", "b"],
        ["val", "train", "test", "test", "test", "test"],
    )
    assert find_leaks(hashes, places) == ["a", "c"]
    assert find_leaks(["a", "a", "b"], ["val", "val", "test"]) == []


def test_digest_is_of_who_is_where() -> None:
    hashes, places = [content(i) for i in range(3)], ["train", "val", "test"]
    expected = "".join(sorted(f"{p} {h}\n" for p, h in zip(places, hashes, strict=True)))
    digest = split_digest(hashes, places)
    assert digest == hashlib.sha256(expected.encode()).hexdigest()
    assert split_digest(hashes[::-1], places[::-1]) == digest
    assert split_digest(hashes[::-1], places) != digest
