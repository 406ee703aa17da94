"""The DVC pipeline: what it declares, and what it does in a copy of the checkout."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from benchmark.core.config import NAME_PATTERN, load_params
from benchmark.core.hashing import code_digest, stage_code
from tests.support.pipeline_checkout import ENVIRONMENT, PipelineCheckout, git

ROOT = Path(__file__).resolve().parents[2]
STAGES: dict[str, Any] = {
    name: stage.get("do", stage)
    for name, stage in YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"].items()
}
"""What each stage does, for every suite or run alike."""


def outputs(stage: dict[str, Any]) -> list[tuple[str, dict[str, Any], str]]:
    found = []
    for kind in ("outs", "metrics", "plots"):
        for entry in stage.get(kind, []):
            path, settings = next(iter(entry.items())) if isinstance(entry, dict) else (entry, {})
            found.append((path, settings, kind))
    return found


LOADED_MODULES = """
import sys, benchmark.pipeline.{stage}
if "{stage}" in ("train", "evaluate", "report"):
    from benchmark.core.config import load_variant, names_in
    for path in names_in(__import__("pathlib").Path("models/variants")):
        load_variant(path)
if "models.networks" in sys.modules:
    from models import networks
    for name in networks.generator_names():
        networks.generator_class(name)
    for name in networks.discriminator_names():
        networks.discriminator_class(name)
if "{stage}" == "split":  # later stages load a source to check the suite, but read no image with it
    from data import sources
    for name in sources.source_names():
        sources.source_class(name)
for module in list(sys.modules.values()):
    print(getattr(module, "__file__", None))
"""


@cache
def _loaded(stage: str) -> list[str]:
    """Return the files that a stage loads."""
    # In a process of its own: this one has loaded everything.
    done = subprocess.run(
        [sys.executable, "-c", LOADED_MODULES.format(stage=stage)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", [name for name in STAGES if name != "report"])
def test_a_stage_of_one_run_begins_without_what_takes_long_to_load(name: str) -> None:
    needless = {"matplotlib", "scipy/stats", "torch/_dynamo"}
    needless |= {"torch"} if name == "split" else set()
    found = {m for m in needless for file in _loaded(name) if file.endswith(f"/{m}/__init__.py")}
    assert found == set()


@pytest.mark.promise("code")
@pytest.mark.parametrize("name", STAGES)
def test_every_module_that_a_stage_loads_is_a_dependency(name: str) -> None:
    tops = tuple(f"{ROOT / top}{os.sep}" for top in ("benchmark", "models", "data"))
    loaded = [Path(line) for line in _loaded(name) if line.startswith(tops)]
    assert loaded
    declared = [ROOT / dep for dep in STAGES[name]["deps"]]
    undeclared = [p for p in loaded if not any(p.is_relative_to(dep) for dep in declared)]
    assert undeclared == []


@pytest.mark.parametrize("name", STAGES)
def test_every_dependency_on_code_exists(name: str) -> None:
    fixed = [dep for dep in STAGES[name]["deps"] if "${" not in dep and "reports/" not in dep]
    assert [dep for dep in fixed if not (ROOT / dep).exists()] == []


def test_no_output_holds_source() -> None:
    # DVC deletes an output before its stage runs. What is uncached is in git on purpose.
    for stage in STAGES.values():
        for path, settings, _ in outputs(stage):
            assert path.split("/")[0] in ("data", "models", "reports") and path.count("/") >= 1
            root = re.split(r"/[^/]*\$\{", path)[0]
            tracked = git("ls-files", root)
            if settings.get("cache", True):
                assert tracked == [], path
            else:
                assert not any(file.endswith((".py", ".yaml")) for file in tracked), path


def test_nothing_switches_the_run_cache_off_where_it_is_needed() -> None:
    for name, stage in STAGES.items():
        assert "always_changed" not in stage
        for path, settings, kind in outputs(stage):
            assert "persist" not in settings, path
            if kind == "outs" and name != "report":
                assert settings.get("cache", True), path


def test_stages_are_those_of_the_selected_runs() -> None:
    params = load_params(ROOT)
    expected = {"report"}
    for suite in params.suites:
        expected |= {f"split@{suite}", f"baselines@{suite}"}
    for run in params.all_runs:
        name = f"{run.suite}-{run.variant}-{run.seed}"
        expected |= {f"train@{name}", f"evaluate@{name}"}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(done.stdout.split()) == expected


def test_names_cannot_collide_in_a_key_of_the_selection() -> None:
    names = [p.stem for folder in ("benchmark/suites", "models/variants")
             for p in (ROOT / folder).glob("*.yaml")]  # fmt: skip
    assert [name for name in names if not re.fullmatch(NAME_PATTERN, name)] == []


def dvc_md5(path: Path) -> str:
    """Return the hash that DVC gives a file, or a folder without what .dvcignore names."""
    if path.is_file():
        return hashlib.md5(path.read_bytes()).hexdigest()
    files = [p for p in path.rglob("*") if p.is_file() and p.suffix != ".pyc"]
    files = [p for p in files if p.name not in (".gitignore", ".gitkeep")]
    entries = [{"md5": dvc_md5(p), "relpath": p.relative_to(path).as_posix()} for p in files]
    entries.sort(key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


@pytest.mark.promise("code")
def test_committed_results_are_those_of_the_committed_code() -> None:
    locked = YAML(typ="safe").load(ROOT / "dvc.lock")["stages"]
    stale, compared = set(), set()
    for name, stage in locked.items():
        for entry in stage["deps"] + stage["outs"]:
            path = entry["path"]
            # What is not in git (prepared images, weights) is not there in a fresh clone.
            if path.startswith(("data/raw/", "reports/")) and entry in stage["deps"]:
                continue
            if git("ls-files", path):
                compared.add(path)
                if dvc_md5(ROOT / path) != entry["md5"]:
                    stale.add(path)
        for path, values in stage.get("params", {}).items():
            current = YAML(typ="safe", pure=True).load(ROOT / path)
            found = {key: current.get(key) for key in values} if path == "params.yaml" else current
            if found != values:
                stale.add(f"{name}: {path}")
    assert {"benchmark/metrics", "models/generators", "reports/summary.json"} <= compared
    assert stale == set(), "run `make repro` and commit dvc.lock and reports/"


@pytest.mark.promise("code")
def test_committed_digests_of_code_are_those_of_the_committed_code() -> None:
    for run in load_params(ROOT).all_runs:
        training = json.loads((ROOT / run.provenance).read_text())["training"]
        assert training["code_sha256"] == code_digest(stage_code("train")), run


def test_no_two_variants_have_the_same_scores() -> None:
    params = load_params(ROOT)
    for suite in params.suites:
        texts = [(ROOT / run.scores).read_text() for run in params.runs_of(suite)]
        # Without the name of the method, which begins every line.
        bodies = [re.sub(r"^[a-z_0-9]+,", "", text, flags=re.MULTILINE) for text in texts]
        assert len(set(bodies)) == len(bodies)


def test_lock_file_of_the_environment_names_no_index() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock and "--hash=sha256:" in lock


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> PipelineCheckout:
    made = PipelineCheckout(tmp_path_factory.mktemp("checkout"))
    ran = made.repro()
    stages = {"split@tiny", "train@tiny-l2-0", "baselines@tiny", "evaluate@tiny-l2-0", "report"}
    assert ran == stages
    made.commit()
    return made


def test_pipeline_writes_what_a_reader_looks_for(checkout: PipelineCheckout) -> None:
    reports = checkout.folder / "reports"
    for name in (
        "report.md", "report.html", "summary.json", "tables/tiny.tex", "tables/tiny.csv",
        "tables/tiny_comparisons.csv", "tables/tiny_protocols.csv",
        "figures/tiny_comparison.png", "figures/tiny_zoomed.png",
        "figures/tiny_validation_mse_h.svg",
        "curves/tiny/l2/seed0.csv", "scores/tiny/l2/seed0.csv", "metrics/tiny/l2/seed0.json",
        "provenance/tiny/l2/seed0.json", "diagnostics/tiny/l2/seed0/predictions.json",
        "claims.json", "tables/claims.csv",
    ):  # fmt: skip
        assert (reports / name).stat().st_size > 0, name


def test_second_run_has_nothing_to_do(checkout: PipelineCheckout) -> None:
    for left in ("data/prepared/other/test.npy", "reports/completed/other/l2/seed0.npy"):
        (checkout.folder / left).parent.mkdir(parents=True)
        (checkout.folder / left).write_text("of a suite that is selected no more")
    assert checkout.repro() == set()
    assert git("status", "--porcelain", cwd=checkout.folder) == []


@pytest.mark.promise("same_bytes")
def test_deleted_results_come_back_identical(checkout: PipelineCheckout) -> None:
    folders = ("models/checkpoints", "reports/metrics")
    before = checkout.digests(*folders)
    assert before
    for name in folders:
        shutil.rmtree(checkout.folder / name)
    checkout.repro()
    assert checkout.digests(*folders) == before


@pytest.mark.promise("code")
def test_new_variant_runs_alone(checkout: PipelineCheckout) -> None:
    path = checkout.folder / "models/variants/l2.yaml"
    text = path.read_text()
    path.with_stem("l2_fast").write_text(text.replace("lr: 2e-4", "lr: 4e-4"))
    checkout.select("l2", "l2_fast")
    new = {"train@tiny-l2_fast-0", "evaluate@tiny-l2_fast-0"}
    assert checkout.repro("evaluate@tiny-l2-0", "evaluate@tiny-l2_fast-0") == new


@pytest.mark.promise("code")
@pytest.mark.slow
def test_what_is_changed_and_put_back_leaves_no_trace(tmp_path: Path) -> None:
    checkout = PipelineCheckout(tmp_path)
    checkout.repro()
    checkout.commit()
    path = checkout.folder / "models/variants/l2.yaml"
    text = path.read_text()
    path.write_text(text.replace("lr: 2e-4", "lr: 3e-4"))
    assert "train@tiny-l2-0" in checkout.repro()
    assert git("status", "--porcelain", cwd=checkout.folder) != []
    path.write_text(text)
    assert "train@tiny-l2-0" not in checkout.repro(), "it is in the run-cache"
    assert git("status", "--porcelain", cwd=checkout.folder) == []


@pytest.mark.promise("code")
def test_code_outside_the_dependencies_of_a_stage_changes_no_byte_of_it(
    checkout: PipelineCheckout,
) -> None:
    before = checkout.digests("models/checkpoints", "reports/curves")
    for name in ("benchmark/reporting/tables.py", "benchmark/versions/compare.py"):
        with (checkout.folder / name).open("a", encoding="utf-8") as file:
            file.write("# another comment\n")
    train = "-m benchmark train --suite tiny --variant l2 --seed 0".split()
    subprocess.run([sys.executable, *train], cwd=checkout.folder, check=True, capture_output=True)
    assert checkout.digests("models/checkpoints", "reports/curves") == before


@pytest.mark.promise("same_bytes")
@pytest.mark.slow
def test_forced_rebuild_leaves_the_tree_clean(tmp_path: Path) -> None:
    made = PipelineCheckout(tmp_path)
    made.select("l2", "localizer", "staged")
    made.repro()
    made.commit()
    before = made.digests("models/checkpoints", "data/prepared")
    made.repro("--force")
    assert git("status", "--porcelain", cwd=tmp_path) == []
    assert made.digests("models/checkpoints", "data/prepared") == before


@pytest.mark.slow
def test_changed_image_of_an_attached_folder_is_noticed(tmp_path: Path) -> None:
    from PIL import Image

    from data.procedural_faces import render_portrait

    images = tmp_path / "images"
    images.mkdir()
    for index in range(72):
        Image.fromarray(render_portrait(index, 32, seed=1)).save(images / f"{index}.png")
    made = PipelineCheckout(tmp_path / "checkout")
    suite = made.folder / "benchmark/suites/tiny.yaml"
    line = "source: {name: portraits, count: 72, seed: 0}"
    suite.write_text(suite.read_text().replace(line, "source: {name: image_folder}"))
    (made.folder / "data/raw/tiny").rmdir()
    attach = [sys.executable, "-m", "benchmark", "attach", "--suite", "tiny", str(images)]
    subprocess.run(attach, cwd=made.folder, check=True, capture_output=True)
    made.repro("split@tiny")
    assert made.repro("split@tiny") == set()
    Image.fromarray(render_portrait(99, 32, seed=1)).save(images / "3.png")
    assert made.repro("split@tiny") == {"split@tiny"}
