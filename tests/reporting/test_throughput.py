"""The file of times: what follows from its numbers, and where the report shows them."""

import json
from pathlib import Path

import pytest

from benchmark.core.config import load_params
from benchmark.pipeline.report import write_report
from benchmark.reporting.throughput import (
    THROUGHPUT,
    Measured,
    Roof,
    Throughput,
    forward_name,
    read_throughput,
    write_throughput,
)
from data.errors import InputError
from tests.support.report_tree import BAD, GOOD, Checkout

TIMES = Throughput(
    machine={"cpu": "Some_CPU", "threads": 2, "libraries": {"torch": "2.14.1"}},
    code={"commit": None, "dirty": None},
    batch_size=8,
    image_px=64,
    roof=Roof(gflop=2.0, wall_s=(0.02, 0.025), cpu_s=(0.04, 0.05), best_s=0.02),
    subjects={
        "generator/locpaint_autoencoder": Measured(
            images=8, gflop=1.0, memory_mib=74.5, wall_s=(0.02, 0.05, 0.04), cpu_s=(0.1, 0.1, 0.1)
        ),
        "step/good": Measured(images=16, gflop=5.0, wall_s=(0.1,), cpu_s=(0.1,)),
        "batches": Measured(images=2048, wall_s=(0.5,), cpu_s=(0.5,)),
    },
    missing={"metric/lpips_alex": "no weights"},
)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Checkout(tmp_path, {"good": GOOD, "bad": BAD})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_numbers_that_follow_are_worked_by_hand() -> None:
    one = TIMES.subjects["generator/locpaint_autoencoder"]
    assert (one.seconds, one.images_per_s, one.ms_per_image) == (0.04, 200, 5)
    assert one.gflop_per_s == 25 and one.spread == pytest.approx(0.75)
    assert TIMES.roof.gflop_per_s == 100
    assert TIMES.roof_share("generator/locpaint_autoencoder") == 0.25
    assert TIMES.roof_share("batches") is None


def test_file_says_for_other_readers_what_follows_and_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    write_throughput(path, TIMES)
    entry = json.loads(path.read_text())["subjects"]["generator/locpaint_autoencoder"]
    assert entry["images_per_s"] == 200 and entry["gflop_per_s"] == 25
    assert entry["roof_share"] == 0.25 and entry["wall_s"] == [0.02, 0.05, 0.04]
    assert read_throughput(path) == TIMES


@pytest.mark.parametrize("broken", ['{"machine": {}}', "[]", "{", '{"roof": {"gflop": NaN}}'])
def test_damaged_file_is_refused(broken: str, tmp_path: Path) -> None:
    (tmp_path / "times.json").write_text(broken)
    with pytest.raises(InputError, match=r"times\.json: "):
        read_throughput(tmp_path / "times.json")
    with pytest.raises(InputError, match="`make bench` makes it"):
        read_throughput(tmp_path / "none.json")


def test_networks_are_named_with_the_options_that_are_not_their_defaults() -> None:
    name = forward_name("generator", "attention_unet", {"channels": 32, "attention": True})
    assert name == "generator/attention_unet channels=32"
    assert (
        forward_name("discriminator", "localizer", {"capacity": 1.0}) == "discriminator/localizer"
    )


def test_times_stand_in_the_tables_of_the_report(checkout: Path) -> None:
    write_throughput(THROUGHPUT, TIMES)
    write_report(load_params())
    page = (checkout / "reports/report.md").read_text()
    heads, good, bad = (
        next(line for line in page.splitlines() if line.startswith(begin)).split("|")
        for begin in ("| method", "| good", "| bad")
    )
    step, inference = (heads.index(h) for h in heads if "images/s" in h or "ms/image" in h)
    # Both are `l2` by other names, whose generator is that of the file; one step was timed.
    assert "160" in good[step] and "—" in bad[step]
    assert all("5.00" in row[inference] for row in (good, bad))
    assert "| locpaint\\_autoencoder | 200 | 5 | 25.0 | 25% | 74 | 75% |" in page
    assert (
        "Measured on Some\\_CPU, 2 threads, torch 2.14.1, in batches of 8 images of 64 px" in page
    )
    assert "Not timed, for want of weights: `lpips_alex`." in page
    svg = (checkout / "reports/figures/tiny_cost_inference.svg").read_text()
    assert "ms of inference" in svg


def test_times_of_another_size_say_so(checkout: Path) -> None:
    write_throughput(THROUGHPUT, TIMES.model_copy(update={"image_px": 128}))
    write_report(load_params())
    page = (checkout / "reports/report.md").read_text()
    assert "timed apart from the runs, with images of 128 px, on Some\\_CPU, 2 threads" in page


def test_report_without_times_says_how_to_have_them(checkout: Path) -> None:
    write_report(load_params())
    page = (checkout / "reports/report.md").read_text()
    assert "Nothing was timed: `make bench` writes `reports/throughput.json`." in page
    assert "ms/image" not in page
    assert not (checkout / "reports/figures/tiny_cost_inference.svg").exists()
