"""What is read of a version, against real repositories and folders."""

import json
import os
from pathlib import Path

import pytest

from benchmark.core import paths
from benchmark.versions.compare import compare_versions
from benchmark.versions.diff import changed_files
from benchmark.versions.earlier_names import RENAMED
from benchmark.versions.gate import check_gate, gate_text
from benchmark.versions.snapshot import Subject, open_version
from benchmark.versions.tolerances import BASELINES
from data.errors import InputError
from tests.support.promises import tally
from tests.support.report_tree import EVEN, GOOD, Checkout
from tests.support.tiny import ROOT, params_text
from tests.support.version_control import commit, git

RUN = Subject("tiny", "l2")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with one commit of results, `v1`, which is the present folder."""
    root = tmp_path / "checkout"
    Checkout(root, {"l2": GOOD})
    (root / "benchmark/code.py").write_text("weight = 1\n")
    commit(root)
    git(root, "tag", "v1")
    monkeypatch.chdir(root)
    return root


def _mse(name: str) -> float | None:
    with open_version(name) as version:
        return version.metrics(RUN).methods["l2"]["mse_h"].value


def test_revision_is_read_from_git_and_a_folder_as_it_is(repository: Path) -> None:
    before = GOOD.mean()
    Checkout(repository.parent / "other", {"l2": EVEN})
    for kind in ("metrics", "scores"):
        (repository / "reports" / kind).rename(repository / f"old_{kind}")
        (repository.parent / "other/reports" / kind).rename(repository / "reports" / kind)
    short = git(repository, "rev-parse", "--short", "HEAD")
    for name in ("v1", "HEAD", short, "HEAD^{commit}"):
        assert _mse(name) == pytest.approx(before, rel=1e-6)
    for name in (".", str(repository), "../checkout"):
        assert _mse(name) == pytest.approx(EVEN.mean(), rel=1e-6)
    commit(repository)
    assert _mse("HEAD") == pytest.approx(EVEN.mean(), rel=1e-6)
    assert _mse("HEAD~1") == _mse("v1") == pytest.approx(before, rel=1e-6)


def test_nothing_is_left_of_a_revision_that_was_read(repository: Path) -> None:
    with open_version("v1") as version:
        assert version.folder.is_dir() and version.commit == git(repository, "rev-parse", "v1")
        assert not version.score_table(RUN).empty
    assert not version.folder.exists()


def test_subjects_are_those_of_the_parameters_and_nothing_that_lies_about(
    repository: Path,
) -> None:
    (repository / "params.yaml").write_text(params_text(["tiny"], ["gan"], [1, 0]))
    with open_version(".") as version:
        expected = {Subject("tiny", "gan", 0), Subject("tiny", "gan", 1)}
        assert {*version.subjects} == expected | {Subject("tiny", BASELINES)}
        assert version.seeds == (0, 1)
        assert version.content(Subject("tiny", "gan", 1)) == {}


OLD_PARAMS = "suites: [tiny]\nvariants: [l2, gan]\nseeds: [0]\n"


@pytest.fixture
def old_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository whose first commit is laid out as version 0.1.0, and the next as now."""
    root = tmp_path / "checkout"
    Checkout(root, {"l2": GOOD, "gan": EVEN})
    now = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(OLD_PARAMS)
    (root / paths.CLAIMS).rename(root / "benchmark/claims.yaml")
    (root / "benchmark/bands.json").write_text('{"machines": {}, "measured": []}')
    renamed = [*(root / paths.VARIANTS).iterdir(), *(root / "reports").rglob("baselines.*")]
    contents = {path: path.read_bytes() for path in renamed}
    for path, content in contents.items():
        for old, new in RENAMED.items():
            content = content.replace(new.encode(), old.encode())
        path.write_bytes(content)
    assert any(path.read_bytes() != content for path, content in contents.items())
    commit(root)
    for path, content in contents.items():
        path.write_bytes(content)
    (root / "benchmark/claims.yaml").rename(root / paths.CLAIMS)
    (root / "benchmark/bands.json").unlink()
    (root / "params.yaml").write_text(now)
    commit(root)
    monkeypatch.chdir(root)
    return root


def test_version_of_the_former_layout_is_read(old_shape: Path) -> None:
    with open_version("HEAD~1") as old, open_version("HEAD") as new:
        assert old.subjects == new.subjects
        found = compare_versions(old, new)
        assert found.settings == (), "keys of 0.1.0 are those of today"
        assert {change.state for change in found.subjects if change.subject.is_run} == {"identical"}
        # Other names are other bytes, but nothing that they name has moved.
        methods = {"l2", "gan", "mean_color", "telea", "oracle"}
        assert {change.method for change in found.metrics} == methods
        assert {change.verdict for change in found.metrics} <= {"identical", "missing"}
        assert {change.method for change in found.metrics} >= {"l2", "gan", "telea"}
        assert check_gate(old, new).failures == ()


def test_base_of_the_former_layout_has_no_tolerances_and_it_is_told(old_shape: Path) -> None:
    other = Checkout(old_shape.parent / "other", {"l2": GOOD + 0.001, "gan": EVEN})
    with open_version("HEAD~1") as old, open_version(str(other.root)) as new:
        result = check_gate(old, new)
    # What another seed changes is not known, so that every image counts.
    assert ("regression", "tiny/l2/mse_h") in {(f.kind, f.where) for f in result.failures}
    assert "tiny/l2/mse_h" in result.without_seed_sd
    assert "`python -m benchmark tolerances` measures it" in gate_text(result)


@pytest.mark.promise("configuration")
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (OLD_PARAMS.replace("seeds: [0]", "seeds: [-1]"), "params.yaml: seeds.0: "),
        (OLD_PARAMS.replace("[l2, gan]", "['a-b']"), "params.yaml: variants.0: "),
        (OLD_PARAMS.replace("[l2, gan]", "[]"), "params.yaml: variants: "),
        (OLD_PARAMS.replace("seeds", "seed"), "params.yaml: seeds: this key is missing"),
        ("suites: [tiny]\nruns: {}\n", "params.yaml: runs: "),
    ],
)
def test_selection_that_is_damaged_is_one_line(old_shape: Path, changed: str, words: str) -> None:
    (old_shape / "params.yaml").write_text(changed)
    commit(old_shape)
    with pytest.raises(InputError, match=f"^HEAD:{words}"), open_version("HEAD") as version:
        _ = version.subjects


def test_selection_that_names_something_twice_is_read_once(old_shape: Path) -> None:
    twice = OLD_PARAMS.replace("[tiny]", "[tiny, tiny]").replace("[l2, gan]", "[l2, gan, l2]")
    (old_shape / "params.yaml").write_text(twice)
    with open_version("HEAD") as new, open_version(".") as old:
        assert old.subjects == new.subjects


def test_reference_runs_are_a_version() -> None:
    with open_version(str(ROOT / "reports/reference/celeba_64")) as version:
        assert {s.name for s in version.subjects} >= {"l2", BASELINES}
        for subject in version.subjects:
            assert version.metrics(subject).methods and not version.score_table(subject).empty
        assert version.image_px("celeba_64") == 64**2
        assert version.settings(paths.VARIANTS / "l2.yaml")


STRANGE = ["no_such", "-x", "--all", "--help", "^HEAD", "HEAD:params.yaml", "v1..HEAD", "it's"]
STRANGE += [
    '"v1"',
    "v1\n",
    "v1\nHEAD",
    "\0",
    "v1\0",
    "\udcff",
    "\ud800",
    "; true",
    "x" * 300,
    "a/" * 3000,
]


@pytest.mark.promise("file_names")
@pytest.mark.parametrize("name", STRANGE, ids=range(len(STRANGE)))
def test_what_is_no_version_is_refused_in_one_line(repository: Path, name: str) -> None:
    with pytest.raises(InputError, match="neither a revision") as caught, open_version(name):
        pass
    assert "params.yaml" in str(caught.value) and str(caught.value).isprintable()
    tally("names of versions refused")


@pytest.mark.promise("file_names")
@pytest.mark.parametrize("name", ["it's", 'a"b', "$(id)", "é<b>", "a;b", "100%"])
def test_strange_names_of_revisions_are_read(repository: Path, name: str) -> None:
    git(repository, "tag", name)
    assert _mse(name) == _mse("v1")


def test_name_of_a_revision_and_a_folder(repository: Path) -> None:
    Checkout(repository / "v1", {"l2": EVEN})
    assert _mse("v1") == pytest.approx(GOOD.mean(), rel=1e-6)
    assert _mse("./v1") == pytest.approx(EVEN.mean(), rel=1e-6)


def test_commit_from_before_there_were_parameters(repository: Path) -> None:
    git(repository, "rm", "--quiet", "--cached", "params.yaml")
    commit_before = git(repository, "commit-tree", "-m", "x", git(repository, "write-tree"))
    with pytest.raises(InputError, match=r"this commit has no params\.yaml"):
        _mse(commit_before)
    empty = git(repository, "hash-object", "-t", "tree", "-w", os.devnull)
    with pytest.raises(InputError, match=r"this commit has no params\.yaml"):
        _mse(git(repository, "commit-tree", "-m", "x", empty))


def test_folder_without_results(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a revision"), open_version(str(tmp_path)):
        pass


def test_checkout_within_another_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "around/inner folder"
    Checkout(root, {"l2": GOOD})
    (root / "benchmark/code.py").write_text("weight = 1\n")
    (root.parent / "benchmark").mkdir()
    (root.parent / "benchmark/code.py").write_text("not ours\n")
    commit(root.parent)
    monkeypatch.chdir(root)
    (root / "benchmark/code.py").write_text("weight = 2\n")
    (root.parent / "benchmark/code.py").write_text("not ours either\n")
    assert _mse("HEAD") == pytest.approx(GOOD.mean(), rel=1e-6)
    with open_version("HEAD") as old, open_version(".") as new:
        assert changed_files(old, new) == ["benchmark/code.py"]


def test_checkout_that_the_repository_around_it_does_not_track(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "around/inner"
    Checkout(root, {"l2": GOOD})
    (root.parent / ".gitignore").write_text("inner/\n")
    commit(root.parent)
    monkeypatch.chdir(root)
    with pytest.raises(InputError, match=r"HEAD: this commit has no params\.yaml"):
        _mse("HEAD")
    assert _mse(".") == pytest.approx(GOOD.mean(), rel=1e-6)


def test_shallow_clone_says_so(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(repository)
    clone = repository.parent / "clone"
    git(repository.parent, "clone", "--quiet", "--depth=1", f"file://{repository}", str(clone))
    monkeypatch.chdir(clone)
    assert _mse("HEAD") is not None
    with pytest.raises(InputError, match="git fetch --unshallow"):
        _mse("HEAD~1")


def test_without_git_folders_are_read(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository / "nothing"))
    with pytest.raises(InputError, match="git cannot be run"):
        _mse("HEAD")
    assert _mse(".") is not None
    with open_version(".") as old, open_version(".") as new:
        assert changed_files(old, new) is None


def test_what_git_complains_of_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"git says: .*not a git repository"):
        _mse("HEAD")


@pytest.mark.promise("no_execution")
def test_links_of_a_commit_lead_nowhere_outside(repository: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (repository / "reports/metrics").rename(tmp_path / "metrics")
    (repository / "reports/metrics").symlink_to(secret)
    commit(repository)
    with pytest.raises(InputError, match="HEAD: its files cannot be read"):
        _mse("HEAD")
    assert not any(secret.iterdir())


@pytest.mark.promise("no_execution")
def test_programs_that_a_repository_names_are_not_run(repository: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (repository / ".gitattributes").write_text("*.py diff=x\n")
    commit(repository)
    git(repository, "config", "diff.external", f"touch {ran}; true")
    git(repository, "config", "diff.x.textconv", f"touch {ran}; cat")
    (repository / "benchmark/code.py").write_text("weight = 3\n")
    with open_version("v1") as old, open_version(".") as new:
        assert changed_files(old, new) == ["benchmark/code.py"]
    assert not ran.exists()


@pytest.mark.promise("damage")
@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "null", '{"methods": []}', '{"methods": {"l2": 3}}', "\xff"),
        *('{"methods": {"l2": {"mse_h": 3}}}', '{"methods": {"l2": {"mse_h": {"mean": "x"}}}}'),
        *('{"methods": {"l2": {"mse_h": {"mean": {}}}}}', "[" * 100_000),
    ],
    ids=range(11),
)
def test_damaged_metrics_are_one_line_that_names_the_revision(
    repository: Path, content: str
) -> None:
    (repository / RUN.metrics).write_text(content, encoding="latin-1")
    commit(repository)
    with pytest.raises(InputError) as caught:
        _mse("HEAD")
    assert str(caught.value).startswith(f"HEAD:{RUN.metrics.as_posix()}: ")
    assert "\n" not in str(caught.value)
    tally("corrupted files refused")


def test_mean_that_is_no_number_is_none(repository: Path) -> None:
    content = json.loads((repository / RUN.metrics).read_text())
    content["methods"]["l2"]["mse_h"]["mean"] = float("nan")
    (repository / RUN.metrics).write_text(json.dumps(content))
    assert _mse(".") is None


@pytest.mark.promise("file_names")
def test_files_that_changed(repository: Path) -> None:
    (repository / "benchmark/code.py").rename(repository / "benchmark/moved.py")
    (repository / "benchmark/two\nlines.py").write_text("")
    (repository / os.fsdecode(b"benchmark/\xff.py")).write_text("")
    (repository / "notes.txt").write_text("not code")
    with open_version("v1") as old, open_version(".") as new:
        found = changed_files(old, new)
    expected = ["code.py", "moved.py", "two\nlines.py", os.fsdecode(b"\xff.py")]
    assert found == [f"benchmark/{name}" for name in expected]
    commit(repository)
    with open_version("v1") as old, open_version("HEAD") as new:
        assert changed_files(old, new) == found
    with open_version("v1") as old, open_version("../checkout") as new:
        assert changed_files(old, new) == found
    Checkout(repository.parent / "other", {"l2": EVEN})
    with open_version("v1") as old, open_version("../other") as new:
        assert changed_files(old, new) is None


def test_repository_that_is_broken(repository: Path) -> None:
    blob = git(repository, "rev-parse", f"HEAD:{RUN.metrics.as_posix()}")
    path = repository / ".git/objects" / blob[:2] / blob[2:]
    path.chmod(0o644)
    path.unlink()
    with pytest.raises(InputError, match="HEAD: git does not give its files"):
        _mse("HEAD")
