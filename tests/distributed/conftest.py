"""The pipeline that the tests of this folder run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.distributed import repro
from tests.support.copying_pipeline import PIPELINE, dvc


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a folder with a pipeline of four stages that copy a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("benchmark.distributed.stages.stage_code", lambda _: [])
    monkeypatch.setattr(repro, "LOOK_S", 0.05)
    dvc("init", "--no-scm", "--quiet")
    Path("dvc.yaml").write_text(PIPELINE)
    Path("source").write_text("one")
    yield tmp_path
