"""Tolerances: what follows from measurements, what is measured anew, and what they apply to."""

import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from benchmark.__main__ import main
from benchmark.core.config import load_suite, load_variant
from benchmark.stats.intervals import Spread
from benchmark.training.gan import training_digest
from benchmark.versions import tolerance_measurement
from benchmark.versions.rebuild import Setting, copy_sources
from benchmark.versions.tolerance_measurement import (
    SETTINGS,
    USUAL,
    Means,
    largest_differences,
    seed_sds,
    settings_here,
)
from benchmark.versions.tolerances import (
    BASELINES,
    HEADER,
    TOLERANCES,
    SuiteTolerances,
    Tolerances,
    origin_digest,
    read_tolerances,
    tolerances_text,
    write_tolerances,
)
from data.errors import InputError
from tests.support.tiny import ROOT

pytestmark = pytest.mark.promise("verify")

DATA = "d" * 64
ONE, WITHOUT = Setting("one_thread"), Setting("without_onednn")


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a folder with two suites and two variants the present one."""
    for name in ("benchmark/suites", "models/variants"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("tiny", "other"):
        shutil.copy(
            ROOT / "tests/support/tiny_suite.yaml", tmp_path / f"benchmark/suites/{name}.yaml"
        )
    for name in ("l2", "staged"):
        shutil.copy(ROOT / f"models/variants/{name}.yaml", tmp_path / "models/variants")
    monkeypatch.chdir(tmp_path)


class Calculator:
    """Stands in for the stages: metrics are worked by hand, and every request is noted."""

    def __init__(self, fail_at: int = 0, data_sha256: str = DATA) -> None:
        self.asked: list[str] = []
        self._fail_at, self._data_sha256 = fail_at, data_sha256

    def prepare(self, folder: Path, suite: str) -> str:
        return self._data_sha256

    def means(self, folder: Path, suite: str, subject: str, seed: int, setting: Setting) -> Means:
        self.asked.append(f"{suite}/{subject}/{seed} {setting.name}")
        if len(self.asked) == self._fail_at:
            raise KeyboardInterrupt
        shift = {"usual": 0.0, "one_thread": 0.002, "without_onednn": -0.003}[setting.name]
        if subject == BASELINES:
            return {"telea": {"mse_h": 0.5 + shift / 10}, "oracle": {"mse_h": 0.0}}
        scale = 2 if subject == "staged" else 1
        mse = 0.1 + scale * (0.03 * seed + shift)
        return {subject: {"mse_h": mse, "psnr_h": 20.0, "lpips_alex": None}}


def measure(
    builder: Calculator,
    suites: Sequence[str] = ("tiny",),
    variants: Sequence[str] = ("l2", "staged"),
    seeds: Sequence[int] = (0, 1, 2),
    settings: Sequence[Setting] = (ONE, WITHOUT),
) -> Tolerances:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tolerance_measurement, "prepare", builder.prepare)
        patch.setattr(tolerance_measurement, "build_means", builder.means)
        return tolerance_measurement.measure(suites, variants, seeds, settings)


def origin(variant: str = "l2", suite: str = "tiny") -> dict[str, str]:
    digest = training_digest(load_suite(suite), load_variant(variant))
    return {"config_sha256": digest, "data_sha256": DATA}


def test_tolerances_follow_from_the_measurements() -> None:
    found = measure(Calculator())
    # The largest shift is -.003, doubled for `staged`; a tolerance is three times that.
    assert found.tolerance("tiny", "staged", "mse_h") == 0.018
    assert found.suite("tiny").values("mse_h", "tolerance") == {
        "l2": 0.009, "staged": 0.018, "baselines": 0.0009,
    }  # fmt: skip
    # One tolerance for all variants, and one for the baselines, which do not train.
    assert found.tolerance("tiny", "l2", "mse_h") == 0.018
    assert found.tolerance("tiny", BASELINES, "mse_h") == 0.0009
    assert found.tolerance("tiny", "l2", "psnr_h") == 0
    assert found.tolerance("tiny", "l2", "lpips_alex") is None
    # .1, .13, .16 have a standard deviation of .03, and .1, .16, .22 one of .06.
    assert found.spread("tiny", "l2", "mse_h", [origin()]) == Spread(0.03, 2)
    assert found.spread("tiny", "staged", "mse_h", [origin("staged")] * 3) == Spread(0.06, 2)
    assert found.spread("tiny", BASELINES, "mse_h", []) is None
    assert read_tolerances() == found


def test_suites_that_are_measured_side_by_side_are_both_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    builder, meeting = Calculator(), threading.Barrier(2)

    def write_together(found: Tolerances) -> None:
        """Write when the other is about to, too, if it ever comes."""
        with suppress(threading.BrokenBarrierError):
            meeting.wait(0.2)
        write_tolerances(found)

    monkeypatch.setattr(tolerance_measurement, "prepare", builder.prepare)
    monkeypatch.setattr(tolerance_measurement, "build_means", builder.means)
    monkeypatch.setattr(tolerance_measurement, "write_tolerances", write_together)
    with ThreadPoolExecutor(2) as pool:
        for suite in ("tiny", "other"):
            pool.submit(tolerance_measurement.measure, [suite], [], (0,), (ONE,))
    assert [*read_tolerances().suite("tiny").measured] == [BASELINES]
    assert [*read_tolerances().suite("other").measured] == [BASELINES]


def test_file_tells_what_was_tried_and_where() -> None:
    measure(Calculator())
    [machine] = read_tolerances().suite("tiny").machines
    assert "threads" in machine and "torch" in machine
    lines = TOLERANCES.read_text().splitlines()
    assert lines[0] == "# Written by `python -m benchmark tolerances`."
    assert sum("mse_h: {tolerance: {" in line for line in lines) == 1
    digest = origin_digest(origin())
    wanted = f"l2: {{digest: {digest}, settings: [one_thread, without_onednn], seeds: [0, 1, 2]}}"
    assert wanted in [line.strip() for line in lines]
    assert str(Path.cwd()) not in TOLERANCES.read_text()


def test_committed_file_is_short_and_as_it_would_be_written() -> None:
    committed = (ROOT / TOLERANCES).read_text()
    assert tolerances_text(read_tolerances(ROOT)) == committed
    # One line for each variant, metric and machine of a suite, and four for the suite.
    suites = read_tolerances(ROOT).suites.values()
    lines = sum(
        4 + len(suite.machines) + len(suite.measured) + len(suite.metrics) for suite in suites
    )
    assert len(committed.splitlines()) == len(HEADER.splitlines()) + 1 + lines


def test_equal_measurements_give_equal_bytes() -> None:
    measure(Calculator())
    first = TOLERANCES.read_bytes()
    TOLERANCES.unlink()
    measure(Calculator(), variants=("staged", "l2"))
    assert TOLERANCES.read_bytes() == first
    write_tolerances(read_tolerances())
    assert TOLERANCES.read_bytes() == first


def test_only_what_is_missing_is_measured() -> None:
    measure(Calculator(), variants=("l2",), seeds=(0, 1), settings=(ONE,))
    more = Calculator()
    found = measure(more, settings=(ONE, WITHOUT))
    assert more.asked == [
        *("tiny/l2/0 usual", "tiny/l2/1 usual", "tiny/l2/2 usual", "tiny/l2/0 without_onednn"),
        *("tiny/staged/0 usual", "tiny/staged/1 usual", "tiny/staged/2 usual"),
        *("tiny/staged/0 one_thread", "tiny/staged/0 without_onednn"),
        *("tiny/baselines/0 usual", "tiny/baselines/0 without_onednn"),
    ]
    again = Calculator()
    assert measure(again) == found and again.asked == []
    assert measure(again, seeds=(0,), settings=(ONE,)) == found and again.asked == []
    TOLERANCES.unlink()
    assert measure(Calculator()) == found


@pytest.mark.parametrize("stopped_at", range(1, 13))
def test_interrupted_measurement_continues(stopped_at: int) -> None:
    whole = measure(Calculator())
    TOLERANCES.unlink()
    first, second = Calculator(fail_at=stopped_at), Calculator()
    with pytest.raises(KeyboardInterrupt):
        measure(first)
    assert measure(second) == whole
    # What is done again are the runs of one variant.
    assert len(first.asked) + len(second.asked) <= 13 + 5


def test_one_seed_has_no_standard_deviation() -> None:
    found = measure(Calculator(), variants=("l2",), seeds=(0,))
    assert found.suite("tiny").measured["l2"].seeds == ()
    assert found.spread("tiny", "l2", "mse_h", [origin()]) is None
    assert found.tolerance("tiny", "l2", "mse_h") == 0.009


def test_other_suites_are_kept() -> None:
    before = measure(Calculator(), suites=("other",)).suite("other")
    assert measure(Calculator(), variants=("l2",)).suite("other") == before


def test_what_was_measured_with_other_settings_is_dropped() -> None:
    measure(Calculator())
    suite = Path("benchmark/suites/tiny.yaml")
    suite.write_text(suite.read_text().replace("epochs: 2", "epochs: 3"))
    again = Calculator()
    found = measure(again, variants=("l2",), seeds=(0,))
    assert "tiny/l2/0 usual" in again.asked
    # `staged` was measured for two epochs, and must not decide the tolerance of three.
    assert found.tolerance("tiny", "l2", "mse_h") == 0.009
    assert found.suite("tiny").values("mse_h", "seed_sd") == {}
    assert set(found.suite("tiny").measured) == {"l2", BASELINES}
    other = Calculator(data_sha256="e" * 64)
    measure(other, variants=("l2",), seeds=(0,))
    assert "tiny/l2/0 usual" in other.asked and "tiny/baselines/0 usual" in other.asked


def test_tolerances_apply_to_the_same_settings_and_images() -> None:
    found = measure(Calculator(), variants=("l2",))
    assert found.gap("tiny", "l2", origin()) is None
    assert found.gap("tiny", BASELINES, {"data_sha256": DATA}) is None
    for changed in ({"config_sha256": "0" * 64}, {"data_sha256": "e" * 64}):
        assert found.gap("tiny", "l2", origin() | changed) is not None
        assert found.spread("tiny", "l2", "mse_h", [origin(), origin() | changed]) is None
    for suite, variant in (("tiny", "staged"), ("photos", "l2")):
        words = f"no tolerances were measured for {suite}/{variant} with these settings and images"
        assert str(found.gap(suite, variant, origin())).startswith(words)


def test_variant_of_which_seeds_alone_were_measured_has_no_tolerance() -> None:
    measure(Calculator(), variants=("l2",))
    found = measure(Calculator(), variants=("staged",), settings=())
    assert found.gap("tiny", "staged", origin("staged")) is not None
    assert found.spread("tiny", "staged", "mse_h", [origin("staged")]) == Spread(0.06, 2)


def test_standard_deviation_is_that_of_the_sample_and_of_ratios_that_of_logarithms() -> None:
    means: list[dict[str, float | None]] = [
        {"mse_h": 1.0, "sharpness_c": 2.0, "ssim_h": 0.5},
        {"mse_h": 3.0, "sharpness_c": 4.0, "ssim_h": None},
    ]
    assert seed_sds(means) == {"mse_h": 1.41, "sharpness_c": 0.49}  # √2, and ln 2 / √2


def test_largest_difference_over_methods() -> None:
    usual: Means = {"a": {"mse_h": 1.0, "x": None}, "b": {"mse_h": 2.0, "y": 1.0}}
    here: Means = {"a": {"mse_h": 1.5, "x": 1.0}, "b": {"mse_h": 1.25, "y": None}}
    assert largest_differences(here, usual) == {"mse_h": 0.75}
    assert largest_differences({"a": {"m": 1.23456}}, {"a": {"m": 0.0}}) == {"m": 1.23}


def test_settings_change_something_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX2")
    assert [s.name for s in settings_here()] == ["one_thread", "without_onednn"]
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX512")
    assert [s.name for s in settings_here()] == [
        "two_threads", "without_avx512", "without_onednn", "cuda"
    ]  # fmt: skip
    assert [s.name for s in settings_here(["cuda", "one_thread"])] == ["cuda"]
    with pytest.raises(InputError, match="--setting gpu: there is none; there are one_thread"):
        settings_here(["gpu"])
    assert USUAL.name not in {setting.name for setting in SETTINGS}


def test_damaged_file_is_one_line() -> None:
    measure(Calculator(), variants=("l2",))
    text = TOLERANCES.read_text()
    TOLERANCES.write_text(text[:-3])
    with pytest.raises(InputError, match=r"tolerances.yaml: "):
        read_tolerances()
    TOLERANCES.write_text(text.replace("machines:", "machine:"))
    with pytest.raises(
        InputError, match=r"suites.tiny.machine: unknown key, did you mean machines"
    ):
        read_tolerances()
    assert Tolerances().suite("tiny") == SuiteTolerances()


@pytest.mark.slow
def test_measured_for_real(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = tmp_path / "checkout"
    monkeypatch.chdir(ROOT)
    copy_sources(place)
    monkeypatch.chdir(place)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    TOLERANCES.unlink(missing_ok=True)
    shutil.copy(ROOT / "tests/support/tiny_suite.yaml", "benchmark/suites/tiny.yaml")
    options = ["--suite", "tiny", "--variant", "l2", "--seeds", "0,1"]
    assert main(["tolerances", *options, "--setting", "without_onednn"]) == 0
    found = read_tolerances()
    difference = found.tolerance("tiny", "l2", "mse_h")
    # Other kernels change the last bits, and another seed changes far more.
    assert difference is not None
    assert 0 < difference / 3 < found.suite("tiny").values("mse_h", "seed_sd")["l2"]
