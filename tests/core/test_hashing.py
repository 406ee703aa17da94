"""Digests of code: what counts as a module."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.core import hashing

BESIDE = (".mine.py.swp", "mine.py~", ".ipynb_checkpoints/mine-checkpoint.py")
"""What editors leave beside a module, or keep there while it is open."""


def test_an_editor_may_have_a_module_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "models" / "mine.py"
    module.parent.mkdir()
    module.write_text("weight = 1\n")
    # Emacs marks a file with changes by a link to who has them.
    (module.parent / ".#mine.py").symlink_to("somebody@somewhere.1234")
    monkeypatch.setattr(hashing, "ROOT", tmp_path)
    assert hashing.snapshot() == {module: hashing.file_sha256(module)}


def _put_module(root: Path) -> Path:
    """Write a module and what editors leave beside it."""
    module = root / "models" / "generators" / "mine.py"
    for name in ("mine.py", *BESIDE):
        path = module.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("weight = 1\n")
    (module.parent / ".#mine.py").symlink_to("somebody@somewhere.1234")
    return module


@pytest.mark.promise("code")
def test_what_an_editor_leaves_is_no_code_of_a_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / ".hidden" / "checkout~"  # where it lies does not matter
    module = _put_module(checkout)
    monkeypatch.setattr(hashing, "ROOT", checkout)
    found = [path for path in hashing.stage_code("train") if path.exists() or path.is_symlink()]
    assert found == [module]


@pytest.mark.promise("code")
def test_dvc_ignores_what_an_editor_leaves_but_no_picture(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / ".dvcignore", tmp_path)
    module = _put_module(tmp_path)
    picture = tmp_path / "data" / "raw" / "photos" / "picture.png~"
    picture.parent.mkdir(parents=True)
    picture.touch()
    beside = [str(module.parent / name) for name in (*BESIDE, ".#mine.py")]

    def dvc(*words: str) -> list[str]:
        command = [sys.executable, "-m", "dvc", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    dvc("init", "--no-scm", "--quiet")
    assert dvc("check-ignore", str(module), str(picture), *beside) == beside
