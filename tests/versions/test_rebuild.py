"""The copy of the checkout in which results are built again, and the processes that do it."""

import json
import os
import signal
import tempfile
import threading
from pathlib import Path

import pytest

from benchmark.versions.rebuild import (
    RebuildFailedError,
    Setting,
    checkout_copy,
    run_stages,
    stages_of,
)
from benchmark.versions.snapshot import Subject
from data.errors import InputError
from tests.support.tiny import ROOT, files_below
from tests.support.version_control import commit

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


def test_a_copy_has_sources_and_no_results(checkout: Path) -> None:
    with checkout_copy() as folder:
        copied = {name for name in files_below(folder) if not name.startswith("data/raw/")}
        assert copied == set(NEEDED)
        assert (folder / "data/raw/mine").is_symlink()
        assert (folder / "data/raw/mine/1.png").read_text() == "an image"
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
    assert (checkout / "data/raw/mine/1.png").exists()


def test_a_copy_of_a_commit_has_its_files(checkout: Path) -> None:
    (checkout / "benchmark/__main__.py").write_text("of the commit")
    made = commit(checkout)
    (checkout / "benchmark/__main__.py").write_text("of now")
    with checkout_copy(commit=made) as folder:
        assert (folder / "benchmark/__main__.py").read_text() == "of the commit"
        assert (folder / "data/raw/mine").is_symlink()


def test_this_checkout_is_copied_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with checkout_copy() as folder:
        found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
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
    run_stages(checkout, [("go", "--suite", "mine")], setting)
    assert said(checkout) == {"arguments": ["go", "--suite", "mine"], "threads": "3"}
    # What the stage has to say must not mix with the answer of the command.
    output = capfd.readouterr()
    assert (output.out, output.err) == ("", "[1/1] go --suite mine\nan answer\n")


def test_without_onednn(checkout: Path) -> None:
    run_stages(checkout, [("go", "--suite", "mine")], Setting("without", onednn=False))
    assert said(checkout)["arguments"] == ["go", "--suite", "mine"]
    assert said(checkout)["onednn"] is False


@pytest.mark.parametrize(
    ("code", "error"), [(1, RebuildFailedError), (2, InputError), (130, KeyboardInterrupt)]
)
def test_failing_stage(checkout: Path, code: int, error: type[BaseException]) -> None:
    with pytest.raises(error) as caught:
        run_stages(checkout, [("exit", str(code))], Setting("usual"))
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
        run_stages(checkout, [("wait",)], Setting("usual"))
    assert (checkout / "said.json").read_text() == "cleaned up"


def test_stages_are_in_order() -> None:
    runs = [Subject("a", "l2"), Subject("b", "l2", 3)]
    built = [*runs, Subject("a", "baselines")]
    l2, b = (f"--suite {r.suite} --variant l2 --seed {r.seed}" for r in runs)
    assert [" ".join(stage) for stage in stages_of(built)] == [
        "split --suite a", "split --suite b",
        f"train {l2}", f"evaluate {l2}",
        f"train {b}", f"evaluate {b}",
        "baselines --suite a",
    ]  # fmt: skip
