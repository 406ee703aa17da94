"""Output that is not UTF-8, output that is not there, a narrow window, and another folder."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.__main__ import main
from tests.support.tiny import ROOT


def _run(command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command line of ours in a shell, in which a redirection can close a stream."""
    return subprocess.run(
        ["sh", "-c", f"{sys.executable} -m benchmark {command}"],
        cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True, text=True, encoding="utf-8", errors="replace",
    )  # fmt: skip


@pytest.fixture
def folders(tmp_path: Path) -> str:
    """Return the options that name three folders of one image."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 8:24] = 255
    completed = np.where(mask[..., None] > 0, 255 - pixels, pixels)
    for kind, content in (("images", pixels), ("completed", completed), ("masks", mask)):
        (tmp_path / kind).mkdir()
        Image.fromarray(content).save(tmp_path / kind / "a.png")
    return "--images images --completed completed --masks masks"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_a_terminal_that_lacks_our_signs_gets_others(
    encoding: str, folders: str, tmp_path: Path
) -> None:
    done = _run(f"score {folders} --name café", tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 2, "not a name"
    done = _run(f"score {folders}", tmp_path, PYTHONIOENCODING=encoding)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert "psnr_h [dB] ^" in done.stdout and "mse_h v" in done.stdout


def test_utf_8_keeps_its_arrows(folders: str, tmp_path: Path) -> None:
    done = _run(f"score {folders}", tmp_path, PYTHONIOENCODING="utf-8")
    assert "psnr_h [dB] ↑" in done.stdout


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_change_no_exit_code(closed: str) -> None:
    assert _run(f"list {closed}", ROOT).returncode == 0
    assert _run(f"describe no_such {closed}", ROOT).returncode == 2


@pytest.mark.parametrize("command", ["list", "describe l2", "split --suite portraits", "select"])
def test_elsewhere_than_in_a_checkout_one_line_says_what_to_do(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 2
    said = capsys.readouterr()
    assert said.err == f"error: run this in the root of a checkout, such as {ROOT}\n"
    assert not said.out
    assert main([command.split()[0], "--help"]) == 0


@pytest.mark.parametrize("columns", ["1", "20", "40"])
def test_a_narrow_window_loses_no_word(columns: str, folders: str, tmp_path: Path) -> None:
    wide, narrow = (
        _run(f"score {folders} 2>&1", tmp_path, COLUMNS=width) for width in ("200", columns)
    )
    assert narrow.returncode == 0
    assert {"mse_h", "known_mae_raw"} <= {*narrow.stdout.split()} & {*wide.stdout.split()}
    assert _run("inpaint --help", tmp_path, COLUMNS=columns).returncode == 0
