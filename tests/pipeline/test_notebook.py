"""The notebook for Colab, run cell by cell on the CPU with a tiny suite."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.pipeline_checkout import ENVIRONMENT, PipelineCheckout, git
from tests.support.tiny import ROOT

NOTEBOOK = ROOT / "notebooks/colab.ipynb"
CELLS = [c for c in json.loads(NOTEBOOK.read_text("utf-8"))["cells"] if c["cell_type"] == "code"]
CODE = {cell["id"]: "".join(cell["source"]) for cell in CELLS}
CHOICES = {"SUITE": "tiny", "VARIANTS": "l2", "SEEDS": "0", "EPOCHS": 1}


def _run(cell: str, names: dict[str, Any]) -> None:
    """Run a cell as IPython does: lines with `!` in a shell, `%cd`, and the rest as Python."""
    python = ""
    for line in cell.splitlines():
        if line.startswith("%cd "):
            os.chdir(line.removeprefix("%cd "))
        elif line.startswith("!"):
            command = line[1:].format_map(names)
            done = subprocess.run(command, shell=True, env=ENVIRONMENT, capture_output=True)
            assert done.returncode == 0, command + done.stdout.decode() + done.stderr.decode()
        else:
            python += f"{line}\n"
    exec(compile(python, str(NOTEBOOK), "exec"), names)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what the notebook displays, which there is no IPython for here."""
    found: list[str] = []
    module = ModuleType("IPython.display")
    vars(module).update(HTML=str, display=found.append)
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return found


def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: list[str]) -> None:
    origin = PipelineCheckout(tmp_path / "origin")
    (origin.folder / ".venv").symlink_to(sys.prefix)
    for folder in ("data/raw/tiny", "reports/reference"):
        (origin.folder / folder / ".gitkeep").touch()
    git("add", "--force", ".venv", "data/raw", "reports", cwd=origin.folder)
    origin.commit()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    # The environment is there already, and this test has no network.
    make = tmp_path / "bin/make"
    make.parent.mkdir()
    make.write_text(f'#!/bin/sh\nexec {shutil.which("make")} --old-file=.venv/.installed "$@"\n')
    make.chmod(0o755)
    monkeypatch.setitem(ENVIRONMENT, "PATH", f"{make.parent}:{ENVIRONMENT['PATH']}")
    names: dict[str, Any] = {}
    assert all(f"\n{name} = " in CODE["choice"] for name in CHOICES)
    filled = CODE["choice"].replace('REPOSITORY = ""', f"REPOSITORY = {str(origin.folder)!r}")
    _run(filled, names)
    names |= CHOICES
    for name, code in CODE.items():
        if name != "choice":
            _run(code, names)
    report = Path("reports/report.html").read_text(encoding="utf-8")
    assert "Tiny portraits" in report and "Tiny portraits" in shown[0]
    curve = Path("reports/curves/tiny/l2/seed0.csv").read_text().splitlines()
    assert len(curve) == 2, "a head and one epoch"
    assert Path("../results.zip").stat().st_size > 10_000


def test_without_a_repository_the_first_cell_says_what_is_missing() -> None:
    with pytest.raises(AssertionError, match="REPOSITORY: put the address"):
        exec(CODE["choice"], {})


def test_no_output_of_a_run_is_kept() -> None:
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in CELLS)
