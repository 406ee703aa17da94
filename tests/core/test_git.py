"""What is asked of git, in repositories that are locked, hostile, broken or not there."""

import os
from pathlib import Path

import pytest

from benchmark.core import git
from tests.support import version_control


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with one commit, which is the checkout and the present folder."""
    root = tmp_path / "checkout"
    (root / "benchmark").mkdir(parents=True)
    (root / "benchmark/a.py").write_text("weight = 1\n")
    version_control.commit(root)
    monkeypatch.chdir(root)
    monkeypatch.setattr(git, "ROOT", root)
    return root


@pytest.mark.promise("provenance")
def test_commit_and_changes(repository: Path) -> None:
    commit = version_control.git(repository, "rev-parse", "HEAD")
    assert git.code_version() == {"commit": commit, "dirty": False}
    described = git.described()
    assert described is not None and commit.startswith(described[0]) and not described[1]
    (repository / "benchmark/a.py").write_text("weight = 2\n")
    assert git.code_version() == {"commit": commit, "dirty": True}
    assert git.described() == (described[0], True)


def test_untracked_code_is_a_change_and_untracked_results_are_none(repository: Path) -> None:
    (repository / "reports").mkdir()
    (repository / "reports/new.md").touch()
    assert git.code_version()["dirty"] is False
    (repository / "benchmark/new.py").touch()
    assert git.code_version()["dirty"] is True
    assert git.changed_files("HEAD", None, ["benchmark", "reports"]) == [
        "benchmark/new.py", "reports/new.md",
    ]  # fmt: skip
    assert git.changed_files("HEAD", "HEAD", ["benchmark"]) == []


def test_locked_repository_is_read_and_left_as_it_is(repository: Path) -> None:
    # The index is out of date, so that git would write it anew if it could lock it.
    os.utime(repository / "benchmark/a.py", (1, 1))
    index = (repository / ".git/index").read_bytes()
    (repository / ".git/index.lock").touch()
    assert git.code_version()["dirty"] is False
    (repository / ".git/index.lock").unlink()
    assert git.code_version()["dirty"] is False and git.described() is not None
    assert (repository / ".git/index").read_bytes() == index


@pytest.mark.promise("no_execution")
def test_programs_that_a_repository_names_are_not_run(repository: Path, tmp_path: Path) -> None:
    ran, hook = tmp_path / "ran", tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
    hook.chmod(0o755)
    for key in ("core.fsmonitor", "diff.external", "core.pager", "core.editor"):
        version_control.git(repository, "config", key, str(hook))
    (repository / "benchmark/a.py").write_text("weight = 3\n")
    assert git.code_version()["dirty"] is True and git.described() is not None
    assert git.changed_files("HEAD", None, ["benchmark"]) == ["benchmark/a.py"]
    assert not ran.exists()


@pytest.mark.parametrize("place", ["", "benchmark"])
def test_repository_around_the_checkout_is_not_taken_for_its_own(
    place: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "ROOT", repository / "benchmark" if place else repository.parent)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(repository.parent.parent))
    assert git.code_version() == {"commit": None, "dirty": None}
    assert git.described() is None


def test_without_git_nothing_is_known(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository / "nothing"))
    assert git.code_version() == {"commit": None, "dirty": None}
    assert git.described() is None and git.names("ls-files", "-z") is None
    assert git.find_commit("HEAD") == (None, "; git cannot be run")


@pytest.mark.promise("file_names")
@pytest.mark.parametrize("name", ["-x", "--all", "\0", "a\nb", "\udcff", "x" * 300, "HEAD:a", ""])
def test_names_that_are_no_revision(repository: Path, name: str) -> None:
    assert git.find_commit(name)[0] is None
