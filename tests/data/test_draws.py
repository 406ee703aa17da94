"""Counter-based draws: the published Philox vectors, independence of the slice, exact integers."""

import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from data import draws
from data.draws import integers_below, random_bits, uniforms

ONES = 2**64 - 1
# Random123 1.14, tests/kat_vectors, philox4x64 10: counter, key, expected.
KNOWN_ANSWERS = [
    ("0 0 0 0", "0 0", "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b"),
    (
        f"{ONES:x} {ONES:x} {ONES:x} {ONES:x}",
        f"{ONES:x} {ONES:x}",
        "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0",
    ),
    (
        "243f6a8885a308d3 13198a2e03707344 a4093822299f31d0 082efa98ec4e6c89",
        "452821e638d01377 be5466cf34e90c6c",
        "a528f45403e61d95 38c72dbd566e9788 a5a1610e72fd18b5 57bd43b5e52b7fe6",
    ),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def philox(counter: int, key: list[int]) -> list[int]:
    """Compute Philox 4x64-10 as Salmon et al. (2011) write it, in unbounded integers."""
    x = [counter >> 64 * i & ONES for i in range(4)]
    k = list(key)
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
        x = [second >> 64 ^ x[1] ^ k[0], second & ONES, first >> 64 ^ x[3] ^ k[1], first & ONES]
        k = [(k[0] + 0x9E3779B97F4A7C15) & ONES, (k[1] + 0xBB67AE8584CAA73B) & ONES]
    return x


@pytest.mark.promise("everywhere")
@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS, ids=["zero", "ones", "pi"])
def test_published_vectors(
    monkeypatch: pytest.MonkeyPatch, counter: str, key: str, expected: str
) -> None:
    digest = b"".join(word.to_bytes(8, "little") for word in words(key)) + bytes(16)
    hashed = SimpleNamespace(digest=lambda: digest)
    monkeypatch.setattr(draws, "hashlib", SimpleNamespace(sha256=lambda _: hashed))
    index = sum(word << 64 * i for i, word in enumerate(words(counter)))
    assert random_bits(["replaced"], 1, first=index).tolist() == [words(expected)]
    assert philox(index, words(key)) == words(expected)


@given(
    labels=st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.integers()),
    first=st.integers(0, 2**200),
)
def test_rows_are_philox_of_their_index(labels: list[str | int], first: int) -> None:
    digest = hashlib.sha256(json.dumps(labels).encode()).digest()
    key = [int.from_bytes(digest[start : start + 8], "little") for start in (0, 8)]
    expected = [philox(first + i, key) for i in range(3)]
    assert random_bits(labels, 3, first).tolist() == expected


@given(first=st.integers(0, 99), count=st.integers(0, 100))
def test_any_slice_is_that_part_of_the_table(first: int, count: int) -> None:
    table = random_bits([0, "table"], 200)
    assert np.array_equal(random_bits([0, "table"], count, first), table[first : first + count])


def test_labels_are_kept_apart() -> None:
    lists: list[list[str | int]] = [["a_b", "c"], ["a", "b_c"], ["a", "b", "c"], ["ab", "c"]]
    lists += [[1], ["1"], [1, 1], [11], [], [""]]
    rows = {random_bits(labels, 1).tobytes() for labels in lists}
    assert len(rows) == len(lists)


@pytest.mark.promise("everywhere")
def test_table_is_pinned() -> None:
    table = random_bits([7, "training mask", 3], 1000, first=5)
    assert table.dtype == np.uint64 and table.shape == (1000, 4)
    digest = hashlib.sha256(table.astype("<u8").tobytes()).hexdigest()
    assert digest == "49500bd13fbe97e064518ea1918ccc314fb9ccc54133ec77799d78ac42a69ba7"


@pytest.mark.promise("everywhere")
@pytest.mark.parametrize("bound", [1, 2, 3, 33, 1000, 2**31 - 1, 2**31])
def test_integers_are_the_exact_product(bound: int) -> None:
    edges = [0, 1, 2**32 - 1, 2**32, 2**63, ONES - 2**32, ONES]
    bits = np.array(edges + random_bits(["edges"], 50).ravel().tolist(), dtype=np.uint64)
    drawn = integers_below(bits, bound)
    assert drawn.dtype == np.int64
    assert drawn.tolist() == [(int(b) >> 32) * bound >> 32 for b in bits]
    assert drawn.min() == 0 and drawn.max() == bound - 1


@pytest.mark.parametrize("bound", [2, 7, 33, 1000])
@pytest.mark.parametrize("word", range(4))
def test_integers_are_uniform(bound: int, word: int) -> None:
    bits = random_bits(["chi-square"], 50_000)[:, word]
    counts = np.bincount(integers_below(bits, bound), minlength=bound)
    # The draws are fixed, so the test cannot flicker; below 1e-3 would be one of a thousand tables.
    assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("bound", [-1, 0, 2**31 + 1])
def test_bound_outside_its_range_is_refused(bound: int) -> None:
    with pytest.raises(ValueError, match=rf"bound {bound} is outside \[1, 2\*\*31\]"):
        integers_below(random_bits([0], 1), bound)


@pytest.mark.promise("everywhere")
def test_uniforms_are_multiples_of_a_power_of_two_below_one() -> None:
    bits = np.array([0, 2**11 - 1, 2**11, 2**63, ONES], dtype=np.uint64)
    assert uniforms(bits).tolist() == [0, 0, 2.0**-53, 0.5, 1 - 2.0**-53]
