"""What git knows: the commit of a revision, its files, and whether this checkout differs."""

import io
import os
import re
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.core.hashing import ROOT
from data.errors import InputError, printable

CODE = ("benchmark", "models", "data", "requirements.lock")
"""What a change of makes the code another than that of the commit."""


def code_version() -> dict[str, Any]:
    """Return the `commit` of this checkout and whether its code is `dirty`; None: unknown."""
    top, commit = _in_checkout("rev-parse", "--show-toplevel"), _in_checkout("rev-parse", "HEAD")
    # The checkout may lie, without a repository of its own, within another project's.
    if top is None or commit is None or not ROOT.samefile(top):
        return {"commit": None, "dirty": None}
    changes = _in_checkout("status", "--porcelain", "--untracked-files=all", "--", *CODE)
    return {"commit": commit, "dirty": changes != ""}


def _in_checkout(*arguments: str) -> str | None:
    """Return what git prints of this checkout; None where it fails."""
    # Without locks, so that no commit that is made meanwhile is in the way.
    done = _git("--no-optional-locks", "-C", str(ROOT), *arguments)
    return None if done is None or done.returncode else os.fsdecode(done.stdout).strip()


def find_commit(name: str) -> tuple[str | None, str]:
    """Return the commit of a revision; else None, and what there may be to say of that."""
    if name.startswith("-"):  # git would take it for an option, and has no such names
        return None, ""
    done = _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if done is None:
        return None, "; git cannot be run"
    found = os.fsdecode(done.stdout).strip()
    if done.returncode == 0 and re.fullmatch("[0-9a-f]{40,64}", found):
        return found, ""
    if said := _said(done):
        return None, f"; git says: {said}"
    if listed("rev-parse", "--is-shallow-repository") == ["true\n"]:
        return None, "; this clone is shallow: `git fetch --unshallow` gets older commits"
    return None, ""


def extract(name: str, commit: str, wanted: Sequence[str], folder: Path) -> None:
    """Put files of a commit into a folder.

    Args:
        name: what the commit is called in errors.
        commit: its hash.
        wanted: files and folders, of which those that are there are put.
        folder: where they are put.

    Raises:
        InputError: git does not give them.
    """
    shown = printable(name)
    present = listed("ls-tree", "-z", "--name-only", commit, "--", *wanted)
    if not present:
        return
    done = _git("archive", "--format=tar", commit, "--", *present)
    if done is None or done.returncode:
        raise InputError(f"{shown}: git does not give its files: {_said(done)}")
    try:
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise InputError(f"{shown}: its files cannot be read: {error}") from None


def listed(*arguments: str) -> list[str] | None:
    """Return the names, each ended by a zero byte, that git prints; None where it fails."""
    done = _git(*arguments)
    if done is None or done.returncode:
        return None
    return [name for name in os.fsdecode(done.stdout).split("\0") if name]


def _said(done: subprocess.CompletedProcess[bytes] | None) -> str:
    """Return the first line of what git complained of."""
    lines = done.stderr.decode("utf-8", "replace").splitlines() if done else []
    return printable(lines[0]) if lines else ""


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes] | None:
    """Run git; None where it is not installed, or an argument cannot be one."""
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=False)
    except (OSError, ValueError):
        return None
