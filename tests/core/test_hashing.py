"""Digests of code: what counts as a module."""

from pathlib import Path

import pytest

from benchmark.core import hashing


def test_an_editor_may_have_a_module_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "models" / "mine.py"
    module.parent.mkdir()
    module.write_text("weight = 1\n")
    # Emacs marks a file with changes by a link to who has them.
    (module.parent / ".#mine.py").symlink_to("somebody@somewhere.1234")
    monkeypatch.setattr(hashing, "ROOT", tmp_path)
    assert hashing.snapshot() == {module: hashing.file_sha256(module)}
