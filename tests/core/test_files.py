"""Writing: whatever happens meanwhile, the old file is there or the new one, and nothing else."""

import errno
import itertools
import multiprocessing
import os
import shutil
import signal
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.core.files import atomic_folder, atomic_path, write_text
from data.errors import InputError
from tests.support.faults import full_disk, largest_file, obeyed_permissions, small_disk
from tests.support.promises import tally
from tests.support.tiny import files_below

pytestmark = pytest.mark.promise("writing")

OLD, NEW = {"a": b"old", "deep/b": b"old too"}, {"a": b"new", "c": b"new too"}


def put(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def write_folder(place: Path, files: dict[str, bytes]) -> None:
    with atomic_folder(place) as folder:
        put(folder, files)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Names


def long_names() -> list[str]:
    """Return names as long as file systems allow, and some that are odd."""
    longest = os.pathconf("/tmp", "PC_NAME_MAX")
    return [
        *("n" * count for count in range(longest - 12, longest + 1)),
        "ü" * (longest // 2),
        unicodedata.normalize("NFD", "é" * (longest // 3)),
        *("line\nbreak", "-rf", "100%s", "a b", "'\"", ".hidden", "漢字", "\udcff"),
    ]


@pytest.mark.promise("file_names")
def test_names_of_any_length_can_be_written(tmp_path: Path) -> None:
    for name in long_names():
        for text in ("old", "new"):
            write_text(tmp_path / "files" / name, text)
            write_folder(tmp_path / "folders" / name, {text: b""})
        tally("awkward file names")
    assert sorted(long_names()) == names(tmp_path / "files") == names(tmp_path / "folders")
    assert {path.read_text() for path in (tmp_path / "files").iterdir()} == {"new"}
    assert {path.name for path in (tmp_path / "folders").glob("*/*")} == {"new"}


def test_long_names_that_begin_alike_do_not_meet(tmp_path: Path) -> None:
    one, other = tmp_path / ("n" * 200 + "1"), tmp_path / ("n" * 200 + "2")
    with atomic_path(one) as first, atomic_path(other) as second:
        first.write_text("1")
        second.write_text("2")
    assert (one.read_text(), other.read_text()) == ("1", "2")


def test_name_that_is_too_long_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nn: cannot be written \(File name too long\)"):
        write_text(tmp_path / ("n" * 300), "x")
    assert names(tmp_path) == []


@pytest.mark.parametrize("path", [Path(), Path("/")])
def test_path_without_a_name_is_one_line(path: Path) -> None:
    with pytest.raises(InputError, match="needs the name of a file or folder"):
        write_text(path, "x")
    with pytest.raises(InputError, match="needs the name of a file or folder"):
        write_folder(path, NEW)


# Kills


def exit_code(work: Callable[[], object]) -> int | None:
    """Do something in a copy of this process, and return how that ends."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join()
    return child.exitcode


def write(place: Path, files: dict[str, bytes] | str) -> None:
    """Write a folder, or a file."""
    write_text(place, files) if isinstance(files, str) else write_folder(place, files)


def killed(place: Path, files: dict[str, bytes] | str, kill_at: int) -> bool:
    """Write in a process that is killed at a call; tell whether it came so far."""
    events = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}
    calls = itertools.count()

    def kill(event: str, arguments: tuple[object, ...]) -> None:
        if event in events and str(place.parent) in str(arguments[0]) and next(calls) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        sys.addaudithook(kill)  # hears of every call that changes a file system, before it is made
        write(place, files)

    code = exit_code(work)
    assert code in (0, -signal.SIGKILL)
    return code != 0


def test_killed_file_is_old_or_new(tmp_path: Path) -> None:
    place, calls = tmp_path / "folder" / "file", 0
    place.parent.mkdir()
    place.write_text("old")
    while killed(place, "new", calls):
        assert place.read_text() in ("old", "new")
        calls += 1
        tally("kills survived")
    assert calls >= 4 and place.read_text() == "new"
    assert names(place.parent) == ["file"]


def test_killed_folder_is_old_or_new_or_comes_back(tmp_path: Path) -> None:
    calls, states = 0, set()
    while True:
        place = tmp_path / str(calls) / "place"
        put(place, OLD)
        if not killed(place, NEW, calls):
            break
        tally("kills survived")
        states.add(present := state(place))
        with pytest.raises(RuntimeError), atomic_folder(place):
            raise RuntimeError  # the next call fails too, and still leaves what was there
        assert state(place) == ("old" if present == "absent" else present)
        assert names(place.parent) == ["place"]
        write_folder(place, NEW)
        assert state(place) == "new" and names(place.parent) == ["place"]
        calls += 1
    assert states == {"old", "absent", "new"} and calls >= 12


def state(place: Path) -> str:
    """Tell which of the two folders is in a place, whole."""
    if not place.exists():
        return "absent"
    return {tuple(OLD.items()): "old", tuple(NEW.items()): "new"}[tuple(files_below(place).items())]


@pytest.mark.parametrize("partial", [None, {"a": b"ha"}, NEW], ids=["none", "half", "whole"])
@pytest.mark.parametrize(
    ("present", "former", "expected"),
    [(None, OLD, "old"), (NEW, OLD, "new"), (OLD, {"a": b"old"}, "old"), (OLD, None, "old")],
    ids=["between the renames", "before the sweep", "during the sweep", "before the renames"],
)
def test_next_call_recovers_from_every_state_that_a_kill_leaves(
    tmp_path: Path,
    present: dict[str, bytes] | None,
    former: dict[str, bytes] | None,
    partial: dict[str, bytes] | None,
    expected: str,
) -> None:
    place = tmp_path / "place"
    for name, files in {
        "place": present,
        ".place.former": former,
        ".place.partial": partial,
    }.items():
        if files is not None:
            put(tmp_path / name, files)
    with pytest.raises(KeyboardInterrupt), atomic_folder(place) as folder:
        assert state(place) == expected and names(folder) == []
        raise KeyboardInterrupt
    assert state(place) == expected and names(tmp_path) == ["place"]
    write_folder(place, NEW)
    assert state(place) == "new" and names(tmp_path) == ["place"]


# Failures


class FailingCall:
    """Counts calls of a function, and lets one of them fail."""

    def __init__(self, patch: pytest.MonkeyPatch, target: object, name: str, fails_at: int) -> None:
        self.original, self.left = getattr(target, name), fails_at
        patch.setattr(target, name, lambda *a, **k: self(*a, **k))

    def __call__(self, *arguments: object, **options: object) -> object:
        self.left -= 1
        if self.left == -1:
            raise OSError(errno.EIO, "Input/output error")
        return self.original(*arguments, **options)


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize(
    ("target", "name"),
    [(os, "fsync"), (os, "open"), (Path, "replace"), (Path, "mkdir"), (os, "close")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_call_that_fails_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, target: object, name: str
) -> None:
    for fails_at in range(30):
        base = tmp_path / str(fails_at)
        place = base / "place"
        put(place, OLD) if kind == "folder" else put(base, {"place": b"old"})
        new: dict[str, bytes] | str = NEW if kind == "folder" else "new"
        with monkeypatch.context() as patch:
            call = FailingCall(patch, target, name, fails_at)
            try:
                write(place, new)
            except InputError as error:
                assert str(error) == f"{place}: cannot be written (Input/output error)"
        found = state(place) if kind == "folder" else place.read_text()
        assert found in ("old", "new") and set(names(base)) <= {"place", ".place.former"}
        write(place, new)
        assert names(base) == ["place"]
        if call.left >= 0:
            assert found == "new" and fails_at >= 1
            return
        tally("failed writes survived")
    raise AssertionError("it calls the function without end")


def test_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    put(tmp_path / "folder", OLD)
    put(tmp_path, {"file": b"old"})

    def work() -> None:
        largest_file(50_000)()
        large: dict[str, dict[str, bytes] | str] = {
            "file": "x" * 100_000,
            "folder": {"a": bytes(100_000)},
        }
        for name, files in large.items():
            with pytest.raises(InputError, match=rf"{name}: cannot be written \(File too large\)$"):
                write(tmp_path / name, files)

    assert exit_code(work) == 0
    tally("failed writes survived", 2)
    assert files_below(tmp_path) == {"file": b"old"} | {f"folder/{n}": c for n, c in OLD.items()}


def test_full_disk_for_real(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64 << 10) as disk:
        put(disk, {"file": b"old"})
        with pytest.raises(InputError, match=r"file: cannot be written \(No space left on device"):
            write_text(disk / "file", "x" * 100_000)
        with pytest.raises(InputError, match=r"folder: cannot be written \(No space left on dev"):
            write_folder(disk / "folder", {"a": bytes(100_000)})
        assert files_below(disk) == {"file": b"old"} and names(disk) == ["file"]


def test_read_only_folder_is_one_line(tmp_path: Path) -> None:
    put(tmp_path / "locked" / "folder", OLD)
    put(tmp_path / "locked", {"file": b"old"})
    (tmp_path / "locked").chmod(0o555)
    with obeyed_permissions():
        for name in ("file", "new"):
            with pytest.raises(InputError, match=rf"{name}: cannot be written \(Permission denied"):
                write_text(tmp_path / "locked" / name, "x")
        with pytest.raises(InputError, match=r"folder: cannot be written \(Permission denied\)"):
            write_folder(tmp_path / "locked" / "folder", NEW)
    assert state(tmp_path / "locked" / "folder") == "old"
    assert names(tmp_path / "locked") == ["file", "folder"]


@pytest.mark.parametrize("kind", ["file", "link", "dangling"])
def test_what_is_no_folder_is_not_replaced_by_one(tmp_path: Path, kind: str) -> None:
    place, target = tmp_path / "place", tmp_path / "target"
    if kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(target)
        if kind == "link":
            put(target, OLD)
    before = names(tmp_path)
    with pytest.raises(InputError, match=r"place: cannot be written \(there is a file or a link"):
        write_folder(place, NEW)
    assert names(tmp_path) == before
    assert place.is_symlink() or place.read_text() == "mine"


# Power cuts


IN_PROC = pytest.mark.skipif(sys.platform != "linux", reason="looks at open files in /proc")


def path_of(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


@IN_PROC
def test_bytes_and_names_are_on_the_disk_before_and_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def note_sync(descriptor: int) -> None:
        done.append(f"sync {path_of(descriptor).name}")
        sync(descriptor)

    def note_replace(self: Path, target: Path) -> Path:
        done.append(f"{self.name} -> {target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_replace)
    base = tmp_path / "base"
    write_text(base / "file", "x")
    assert done == ["sync .file.partial", ".file.partial -> file", "sync base"]
    write_folder(base / "place", {"a": b"old"})
    done.clear()
    write_folder(base / "place", {"a": b"new"})
    assert done == [
        *("sync a", "sync .place.partial"),
        *("place -> .place.former", ".place.partial -> place", "sync base"),
    ]


@IN_PROC
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_file_system_that_cannot_sync_folders_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    sync = os.fsync

    def for_files_only(descriptor: int) -> None:
        if path_of(descriptor).is_dir():
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", for_files_only)
    write_text(tmp_path / "file", "x")
    write_folder(tmp_path / "place", NEW)
    assert state(tmp_path / "place") == "new"
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(InputError, match="No space left"):
        write_text(tmp_path / "file", "y")
    shutil.rmtree(tmp_path / "place")
    assert (tmp_path / "file").read_text() == "x"
