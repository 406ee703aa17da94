"""Commands for git -> what it knows of a checkout or a revision; the only module that runs git."""

import io
import os
import re
import stat
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.core.hashing import ROOT
from data.errors import InputError, printable

CODE = ("benchmark", "models", "data", "requirements.lock")
"""A change of these makes the code another than that of the commit."""


def run(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[bytes] | None:
    """Run git in a folder, by default the present one.

    Returns:
        None where git is not installed, or an argument cannot be one.
    """
    # Without optional locks, a commit that is made meanwhile does not fail. A file monitor would be
    # a program that the settings of a repository name.
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments]
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, check=False)
    except (OSError, ValueError):
        return None


def text(*arguments: str, folder: Path | None = None) -> str | None:
    """Return what git prints, without the line end; None where it fails."""
    done = run(*arguments, folder=folder)
    return os.fsdecode(done.stdout).strip() if done and done.returncode == 0 else None


def names(*arguments: str, folder: Path | None = None) -> list[str] | None:
    """Return the names, each ended by a zero byte, that git prints; None where it fails."""
    done = run(*arguments, folder=folder)
    if done is None or done.returncode:
        return None
    return [name for name in os.fsdecode(done.stdout).split("\0") if name]


def _is_repository() -> bool:
    """Return whether the checkout has a repository of its own, not one that lies around it."""
    top = text("rev-parse", "--show-toplevel", folder=ROOT)
    return top is not None and ROOT.samefile(top)


def code_version() -> dict[str, Any]:
    """Return the `commit` of the checkout and whether its code is `dirty`; None: unknown."""
    commit = text("rev-parse", "HEAD", folder=ROOT) if _is_repository() else None
    if commit is None:
        return {"commit": None, "dirty": None}
    options = ("--porcelain", "--untracked-files=all")
    return {"commit": commit, "dirty": text("status", *options, "--", *CODE, folder=ROOT) != ""}


def described() -> tuple[str, bool] | None:
    """Return the short commit of the checkout and whether any tracked file differs from it."""
    commit = text("rev-parse", "--short", "HEAD", folder=ROOT) if _is_repository() else None
    if commit is None:
        return None
    # Not `describe --dirty`, which writes the index.
    return commit, text("status", "--porcelain", "--untracked-files=no", folder=ROOT) != ""


def find_commit(name: str) -> tuple[str | None, str]:
    """Return the commit of a revision; else None, and the reason where there is one to give."""
    if name.startswith("-"):  # git would take it for an option, and has no such names
        return None, ""
    done = run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if done is None:
        return None, "; git cannot be run"
    found = os.fsdecode(done.stdout).strip()
    if done.returncode == 0 and re.fullmatch("[0-9a-f]{40,64}", found):
        return found, ""
    if message := _error_of(done):
        return None, f"; git says: {message}"
    if text("rev-parse", "--is-shallow-repository") == "true":
        return None, "; this clone is shallow: `git fetch --unshallow` gets older commits"
    return None, ""


def changed_files(old: str, new: str | None, within: Sequence[str]) -> list[str] | None:
    """Return which files of the present folder differ between two commits; None where git fails.

    Args:
        old: a commit.
        new: another one; else the files as they are now, untracked ones too.
        within: files and folders to look at.
    """
    # No program that a repository's settings name is run.
    options = ("--name-only", "-z", "--relative", "--no-renames", "--no-ext-diff", "--no-textconv")
    tracked = names("diff", *options, old, *([new] if new else []), "--", *within)
    untracked: list[str] | None = []
    if new is None:
        untracked = names("ls-files", "-z", "--others", "--exclude-standard", "--", *within)
    if tracked is None or untracked is None:
        return None
    return sorted({*tracked, *untracked})


def extract(name: str, commit: str, wanted: Sequence[str], folder: Path) -> None:
    """Put files of a commit into a folder.

    Args:
        name: what the commit is called in errors.
        commit: its hash.
        wanted: files and folders; those that the commit lacks are left out.
        folder: where they are put.

    Raises:
        InputError: git does not give them.
    """
    present = names("ls-tree", "-z", "--name-only", commit, "--", *wanted)
    if not present:
        return
    # Of a ZIP, unlike a tar, every Python writes nothing outside the folder (tar: from 3.11.4 on).
    done = run("archive", "--format=zip", "-0", commit, "--", *present)
    if done is None or done.returncode:
        raise InputError(f"{printable(name)}: git does not give its files: {_error_of(done)}")
    try:
        with zipfile.ZipFile(io.BytesIO(done.stdout)) as archive:
            for entry in archive.infolist():
                if stat.S_ISLNK(entry.external_attr >> 16):
                    raise zipfile.BadZipFile(f"{printable(entry.filename)} is a link")
            archive.extractall(folder)
    except zipfile.BadZipFile as error:
        raise InputError(f"{printable(name)}: its files cannot be read: {error}") from None


def _error_of(done: subprocess.CompletedProcess[bytes] | None) -> str:
    """Return the first line of what git complained of."""
    lines = done.stderr.decode("utf-8", "replace").splitlines() if done else []
    return printable(lines[0]) if lines else ""
