"""Which commit made a result: recorded once, and kept while the result stays the same."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmark.core import git
from benchmark.core.files import write_json
from benchmark.core.git import code_version
from benchmark.core.paths import Run
from benchmark.evaluation.provenance import record_evaluation, record_training, restore_records
from benchmark.training.checkpoints import MANIFEST, read_manifest

pytestmark = pytest.mark.promise("provenance")
RUN = Run("tiny", "l2", 0)


def _git(*arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    done = subprocess.run(
        ["git", *identity, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with one commit of one module, which is the checkout."""
    root = tmp_path / "checkout"
    (root / "benchmark/core").mkdir(parents=True)
    (root / "benchmark/core/hashing.py").write_text("weight = 1\n")
    (root / ".gitignore").write_text("/models/checkpoints/\n/models/scratch/\n")
    monkeypatch.chdir(root)
    monkeypatch.setattr(git, "ROOT", root)
    _git("init", "--quiet")
    _commit()
    return root


def _commit() -> str:
    _git("add", "--all")
    _git("commit", "--quiet", "--allow-empty", "--message", "state")
    return _git("rev-parse", "HEAD")


def _recorded(part: str) -> tuple[str | None, bool | None]:
    record = json.loads(RUN.version.read_text())[part]
    return record["commit"], record["dirty"]


def _train(weights: str) -> None:
    """Write a manifest as a training would, and record the version."""
    manifest = {
        "run": asdict(RUN),
        "checkpoints": {"last": {"epoch": 1, "sha256": weights}},
        "environment": {},
        **dict.fromkeys(("config_sha256", "data_sha256", "code_sha256"), "c"),
    }
    write_json(RUN.checkpoints / MANIFEST, manifest)
    record_training(RUN, "last", code_version())


def _evaluate(scores: str) -> None:
    RUN.scores.parent.mkdir(parents=True, exist_ok=True)
    RUN.scores.write_text(scores)
    origin = read_manifest(RUN.checkpoints).origin("last")
    write_json(RUN.provenance, {"training": origin, "evaluation": {}})
    record_evaluation(RUN, code_version())


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("is_run_again", [True, False])
def test_a_result_that_comes_back_has_its_record_again(is_run_again: bool) -> None:
    _train("first")
    _evaluate("first")
    before = RUN.version.read_bytes(), RUN.provenance.read_bytes()
    _commit()
    _train("second")
    _evaluate("second")
    assert RUN.version.read_bytes() != before[0]
    if is_run_again:  # as a stage without a cached result
        _train("first")
        _evaluate("first")
    else:  # as DVC puts back files
        RUN.scores.write_text("first")
        RUN.provenance.write_bytes(before[1])
        restore_records([RUN])
    assert RUN.version.read_bytes() == before[0]
    restore_records([RUN])
    assert RUN.version.read_bytes() == before[0]


@pytest.mark.usefixtures("repository")
def test_what_nobody_recorded_is_not_made_up() -> None:
    _train("first")
    _evaluate("first")
    before = RUN.version.read_bytes()
    RUN.scores.write_text("of another machine")
    restore_records([RUN, Run("tiny", "no_such", 0)])
    assert RUN.version.read_bytes() == before


@pytest.mark.usefixtures("repository")
def test_commit_is_that_of_git() -> None:
    assert code_version() == {"commit": _git("rev-parse", "HEAD"), "dirty": False}


@pytest.mark.parametrize(
    "path", ["benchmark/core/hashing.py", "benchmark/new.py", "models/a/b.yaml"]
)
def test_changed_or_new_code_is_a_change(repository: Path, path: str) -> None:
    (repository / path).parent.mkdir(parents=True, exist_ok=True)
    (repository / path).write_text("weight = 2\n")
    assert code_version()["dirty"] is True
    _commit()
    assert code_version()["dirty"] is False


def test_results_are_no_change_of_the_code(repository: Path) -> None:
    (repository / "reports").mkdir()
    (repository / "reports/report.md").write_text("text")
    assert code_version()["dirty"] is False


def test_without_a_repository_the_version_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "ROOT", tmp_path)
    assert code_version() == {"commit": None, "dirty": None}


def test_repository_around_the_checkout_is_not_taken_for_its_own(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "ROOT", repository / "benchmark")
    assert code_version() == {"commit": None, "dirty": None}


def test_equal_result_at_a_later_commit_leaves_the_record(repository: Path) -> None:
    first = _git("rev-parse", "HEAD")
    _train("weights")
    _evaluate("scores")
    before = RUN.version.read_bytes()
    (repository / "benchmark/core/hashing.py").write_text("weight = 2\n")
    later = _commit()
    _train("weights")
    _evaluate("scores")
    assert RUN.version.read_bytes() == before
    assert _recorded("training") == _recorded("evaluation") == (first, False)
    # Other weights: scores that happen to be equal are new ones all the same.
    _train("other weights")
    assert _recorded("training") == (later, False)
    assert _recorded("evaluation") == (first, False)
    _evaluate("scores")
    assert _recorded("evaluation") == (later, False)


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("content", ["", "{", "[]", '{"training": null}', '{"training": [1]}'])
def test_damaged_record_is_replaced(content: str) -> None:
    write_json(RUN.version, {})
    RUN.version.write_text(content)
    _train("weights")
    assert _recorded("training") == (_git("rev-parse", "HEAD"), False)


def test_other_result_of_changed_code_is_marked(repository: Path) -> None:
    _train("weights")
    (repository / "benchmark/core/hashing.py").write_text("weight = 2\n")
    _train("other weights")
    assert _recorded("training") == (_git("rev-parse", "HEAD"), True)
