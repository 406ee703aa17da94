"""The copy of the checkout in which results are built again, and the processes that do it."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from benchmark.core import paths
from benchmark.versions.rebuild import (
    RebuildFailedError,
    Selection,
    Setting,
    checkout_copy,
    clear_weights,
    file_md5s,
    folder_md5,
    rebuild,
    run_module,
    source_files,
    stages_of,
)
from data.errors import InputError
from tests.support.tiny import ROOT, files_below

pytestmark = pytest.mark.promise("verify")

STAGE = """\
import json, os, pathlib, signal, sys, time
place = pathlib.Path("said.json")
said = {"arguments": sys.argv[1:], "threads": os.environ.get("OMP_NUM_THREADS")}
if "torch" in sys.modules:
    said["onednn"] = sys.modules["torch"].backends.mkldnn.enabled
place.write_text(json.dumps(said))
print("an answer")
if sys.argv[1] == "wait":
    def stop(*_):
        place.write_text("cleaned up")
        sys.exit(130)
    signal.signal(signal.SIGTERM, stop)
    pathlib.Path("ready").touch()
    time.sleep(60)
sys.exit(int(sys.argv[2]) if sys.argv[1] == "exit" else 0)
"""
"""Stands in for the command line of the benchmark."""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout whose stages only say how they were called; it is the present folder."""
    folder = tmp_path / "checkout"
    for name, content in {
        "benchmark/__main__.py": STAGE,
        "benchmark/__pycache__/x.pyc": "compiled",
        "data/raw/mine/1.png": "an image",
        "data/prepared/mine/test.npy": "made of it",
        "models/checkpoints/mine/weights": "trained",
        "params.yaml": "suites: [mine]",
        "requirements.lock": "numpy",
        "reports/metrics/mine/l2/seed0.json": "{}",
        "reports/reference/mine/reference.json": "{}",
        "reports/versions/mine/l2/seed0.json": "{}",
        "holiday.png": "a photograph",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    monkeypatch.chdir(folder)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return folder


NEEDED = [
    "benchmark/__main__.py", "params.yaml", "reports/reference/mine/reference.json",
    "reports/versions/mine/l2/seed0.json", "requirements.lock",
]  # fmt: skip


@pytest.mark.parametrize("with_git", [True, False])
def test_a_copy_has_sources_and_no_results(checkout: Path, with_git: bool) -> None:
    if with_git:
        (checkout / ".gitignore").write_text("__pycache__/\n/models/checkpoints/\n")
        subprocess.run(["git", "init", "--quiet"], check=True)
    assert [path.as_posix() for path in source_files(Path())] == NEEDED
    with checkout_copy() as folder:
        copied = {name for name in files_below(folder) if not name.startswith("data/raw/")}
        assert copied == set(NEEDED)
        assert (folder / "data/raw/mine").is_symlink()
        assert (folder / "data/raw/mine/1.png").read_text() == "an image"
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
    assert (checkout / "data/raw/mine/1.png").exists()


def test_what_git_would_not_track_is_not_copied(checkout: Path) -> None:
    (checkout / "benchmark/private.py").touch()
    (checkout / "benchmark/new.py").touch()
    (checkout / ".gitignore").write_text("private.py\n*.pyc\n")
    subprocess.run(["git", "init", "--quiet"], check=True)
    found = {path.name for path in source_files(Path())}
    assert "new.py" in found and "private.py" not in found


def test_repository_around_the_checkout_that_ignores_it(checkout: Path) -> None:
    # As where an archive of the code is unpacked in a folder that another project ignores.
    (checkout.parent / ".gitignore").write_text("checkout/\n")
    subprocess.run(["git", "init", "--quiet", str(checkout.parent)], check=True)
    assert [path.as_posix() for path in source_files(Path())] == NEEDED


def test_this_checkout_is_copied_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = {path.as_posix() for path in source_files(Path())}
    assert {"benchmark/__main__.py", "data/sources/__init__.py", "requirements.lock"} <= found
    assert {"models/variants/l2.yaml", "benchmark/suites/photos.yaml"} <= found
    assert not any(name.startswith(("reports/metrics", "models/checkpoints")) for name in found)


def test_kept_copy(checkout: Path) -> None:
    place = checkout / "kept"
    with checkout_copy(place) as folder:
        assert folder == place
    assert (place / "params.yaml").exists()
    with pytest.raises(InputError, match="kept: exists already"), checkout_copy(place):
        pass


def test_nothing_is_left_of_what_is_interrupted(checkout: Path) -> None:
    with pytest.raises(KeyboardInterrupt), checkout_copy():
        raise KeyboardInterrupt
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def said(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "said.json").read_text())
    return found


def test_settings_reach_the_process(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    setting = Setting("three_threads", {"OMP_NUM_THREADS": "3"})
    run_module(checkout, setting, "benchmark", "go", "--suite", "mine")
    assert said(checkout) == {"arguments": ["go", "--suite", "mine"], "threads": "3"}
    # What the stage has to say must not mix with the answer of the command.
    output = capfd.readouterr()
    assert (output.out, output.err) == ("", "an answer\n")


def test_without_onednn(checkout: Path) -> None:
    run_module(checkout, Setting("without", onednn=False), "benchmark", "go", "--suite", "mine")
    assert said(checkout)["arguments"] == ["go", "--suite", "mine"]
    assert said(checkout)["onednn"] is False


@pytest.mark.parametrize(
    ("code", "error"), [(1, RebuildFailedError), (2, InputError), (130, KeyboardInterrupt)]
)
def test_failing_stage(checkout: Path, code: int, error: type[BaseException]) -> None:
    with pytest.raises(error) as caught:
        run_module(checkout, Setting("usual"), "benchmark", "exit", str(code))
    if code != 130:
        assert f"python -m benchmark exit {code}" in str(caught.value)


def test_interrupted_stage_may_clean_up(checkout: Path) -> None:
    def interrupt() -> None:
        while not (checkout / "ready").exists():
            waiting.wait(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    waiting = threading.Event()
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run_module(checkout, Setting("usual"), "benchmark", "wait")
    assert (checkout / "said.json").read_text() == "cleaned up"


RUNS = (paths.Run("a", "l2", 0), paths.Run("a", "staged", 0), paths.Run("b", "l2", 3))


def test_stages_are_in_order() -> None:
    found = [" ".join(stage) for stage in stages_of(Selection(RUNS, report=True))]
    l2, staged, b = (f"--suite {r.suite} --variant {r.variant} --seed {r.seed}" for r in RUNS)
    assert found == [
        "split --suite a", "baselines --suite a",
        f"train {l2}", f"evaluate {l2}",
        f"train {staged}", f"evaluate {staged}",
        "split --suite b", "baselines --suite b", f"train {b}", f"evaluate {b}",
        "report",
    ]  # fmt: skip


def test_one_run_is_built_alone() -> None:
    found = [stage[0] for stage in stages_of(Selection(RUNS[:1], baselines=False))]
    assert found == ["split", "train", "evaluate"]


@pytest.mark.parametrize("keep", [True, False])
def test_weights_are_hashed_before_they_are_removed(
    checkout: Path, keep: bool, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.versions.rebuild.run_module", lambda *_: None)
    folder = checkout / RUNS[0].checkpoints
    (folder / "validation").mkdir(parents=True)
    for name in ("manifest.json", "epoch1.safetensors", "validation/epoch1.png"):
        (folder / name).write_text(name)
    before = file_md5s(folder)
    built = rebuild(checkout, Selection(RUNS[:1], baselines=False), Setting("usual"), keep)
    assert built.weights == {RUNS[0]: before} and len(before) == 3
    assert set(file_md5s(folder)) == (set(before) if keep else {"manifest.json"})
    assert capfd.readouterr().err.splitlines() == [
        "[1/3] split a", "[2/3] train a/l2/seed0", "[3/3] evaluate a/l2/seed0",
    ]  # fmt: skip
    clear_weights(folder)
    assert set(file_md5s(folder)) == {"manifest.json"}


def test_hash_of_a_folder_is_that_of_dvc(tmp_path: Path) -> None:
    # So that weights can be compared with dvc.lock alone.
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import HashFileDB
    from dvc_objects.fs.local import LocalFileSystem

    for name in ("b.bin", "a/c.bin", "a.d", "a/b/ü.bin", "empty"):
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(b"" if name == "empty" else name.encode() * 3)
    system = LocalFileSystem()  # type: ignore[no-untyped-call]
    store = HashFileDB(system, str(tmp_path / "store"))
    _, _, tree = build(store, str(tmp_path / "folder"), system, "md5", dry_run=True)
    assert folder_md5(file_md5s(tmp_path / "folder")) == tree.hash_info.value
    shutil.rmtree(tmp_path / "folder/a")
    assert folder_md5(file_md5s(tmp_path / "folder")) != tree.hash_info.value
