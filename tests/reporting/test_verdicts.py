"""What comparisons say in words, word by word."""

import pytest

from benchmark.reporting.verdicts import coverage, headline, marker
from benchmark.stats.comparison import Comparison
from tests.support.comparisons import comparison


def _against(reference: str, low: float, high: float, method: str = "gan") -> Comparison:
    return comparison(method, reference, low, high)


def test_coverage_says_what_intervals_leave_out() -> None:
    assert "image sampling only" in coverage(covers_seeds=False)
    assert "image sampling only" not in coverage(covers_seeds=True)


@pytest.mark.parametrize(
    ("telea", "biharmonic", "expected"),
    [
        ((0.1, 0.2), (0.3, 0.4), "✗ loses to telea"),
        ((-0.2, -0.1), (0.1, 0.2), "✗ loses to biharmonic"),
        ((-0.2, -0.1), (-0.1, 0.1), "≈ even with biharmonic"),
        ((-0.2, -0.1), (-0.2, -0.1), "✓ beats every baseline"),
    ],
)
def test_the_marker_names_the_first_defeat(
    telea: tuple[float, float], biharmonic: tuple[float, float], expected: str
) -> None:
    found = [_against("telea", *telea), _against("biharmonic", *biharmonic)]
    assert marker(found, strongest="biharmonic") == expected


def test_many_baselines_that_it_is_even_with_are_counted() -> None:
    even = [_against(name, -0.1, 0.1) for name in ("telea", "biharmonic", "ppca")]
    assert marker(even[:2], strongest="telea") == "≈ even with telea, biharmonic"
    found = [*even, _against("mean_color", -0.3, -0.2)]
    assert marker(found, strongest="telea") == "≈ even with 3 of 4 baselines"


def test_a_loss_to_another_baseline_is_never_called_a_victory() -> None:
    found = [_against("telea", -0.2, -0.1), _against("nearest_train", 0.1, 0.2)]
    assert marker(found, strongest="telea") == "✗ loses to nearest_train"


def test_the_headline_says_in_words_that_all_lose() -> None:
    means = {"l2": 0.0182, "binary": 0.02, "telea": 0.0112}
    found = [_against("telea", 0.001, 0.002, name) for name in ("binary", "l2")]
    assert headline(means, found, "telea") == (
        "Every learned variant loses to telea, the strongest baseline "
        "(best: l2, mse_h 0.0182 against 0.0112)."
    )


def test_the_headline_is_about_the_strongest_baseline_alone() -> None:
    means = {"l2": 0.01, "binary": 0.011, "telea": 0.03, "ppca": 0.02}
    lost = [_against("telea", 0.01, 0.02, name) for name in ("l2", "binary")]
    won = [_against("ppca", -0.02, -0.01, name) for name in ("l2", "binary")]
    assert headline(means, [*lost, *won], "ppca") == (
        "Every learned variant beats ppca, the strongest baseline "
        "(best: l2, mse_h 0.0100 against 0.0200)."
    )


def test_the_headline_counts_where_variants_differ() -> None:
    means = {"a": 0.1, "b": 0.2, "c": 0.3, "telea": 0.2}
    found = [
        _against("telea", -2, -1, "a"),
        _against("telea", -1, 1, "b"),
        _against("telea", 1, 2, "c"),
    ]
    text = headline(means, found, "telea")
    assert (
        "of 3 learned variants 1 loses to it, 1 is not distinguishable from it, 1 beats it" in text
    )


def test_what_seeds_could_take_back_is_called_provisional() -> None:
    lost = comparison("gan", "telea", 0.1, 0.2, covers_seeds=False)
    assert marker([lost], strongest="telea") == "✗ loses to telea (provisional)"
    won = comparison("gan", "telea", -0.2, -0.1, covers_seeds=False)
    assert marker([won], strongest="telea") == "✓ beats every baseline (provisional)"
    means = {"gan": 0.1, "telea": 0.2}
    assert headline(means, [won], "telea").endswith(
        "; provisional, as nobody knows what another training seed changes."
    )
