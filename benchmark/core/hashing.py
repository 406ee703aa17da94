"""Digests of code, files and settings, and whether they changed while a stage ran."""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_TOPS = ("benchmark", "models", "data")
_COMMAND_LINE = (ROOT / "benchmark" / "__main__.py", ROOT / "benchmark" / "cli")
_RESULTS = ("data/raw", "data/prepared", "models/checkpoints", "reports")
PIPELINE = ROOT / "dvc.yaml"
read_first: dict[Path, str] = {}
"""Digests of the settings that a command has read so far."""


def snapshot() -> dict[Path, str]:
    """Return the SHA-256 of every module of the checkout, loaded or not.

    Links that lead nowhere are no modules: an editor marks a file so while it has changes of it.
    """
    every = (path for top in _TOPS for path in (ROOT / top).rglob("*.py"))
    return {path: file_sha256(path) for path in every if path.is_file()}


def changed_code(before: Mapping[Path, str]) -> list[Path]:
    """Return the loaded modules that are no longer as they were in a snapshot."""
    return [
        p for p in loaded_code() if p in before and (not p.exists() or file_sha256(p) != before[p])
    ]


def note_read(path: Path, content: bytes) -> None:
    """Remember what a file of settings held when it was read first."""
    read_first.setdefault(path.absolute(), hashlib.sha256(content).hexdigest())


def changed_settings(folders: Iterable[Path]) -> list[Path]:
    """Return the files of some folders that are no longer as they were when they were read."""
    places = {folder.absolute() for folder in folders}
    ours = {path: sha256 for path, sha256 in read_first.items() if path.parent in places}
    return [p for p, sha256 in ours.items() if not p.is_file() or file_sha256(p) != sha256]


def loaded_code() -> list[Path]:
    """Return the project modules that this process has loaded, sorted.

    The command line is left out: it decides nothing that a result depends on.
    """
    found = {getattr(module, "__file__", None) or "" for module in [*sys.modules.values()]}
    tops = tuple(f"{ROOT / top}{os.sep}" for top in _TOPS)
    ours = [Path(file) for file in found if file.startswith(tops)]
    return sorted(p for p in ours if not any(p.is_relative_to(part) for part in _COMMAND_LINE))


def stage_code(stage: str) -> list[Path]:
    """Return the files that `dvc.yaml` declares as the code of a stage, sorted.

    Neither more nor less than what DVC watches: another file changes no digest, and no result.
    What an editor leaves beside a module is no code, as `.dvcignore` says too.
    """
    from ruamel.yaml import YAML  # here, as every command loads this module

    with PIPELINE.open(encoding="utf-8") as file:
        entry = YAML(typ="safe", pure=True).load(file)["stages"][stage]
    names = [name for name in entry.get("do", entry)["deps"] if not name.startswith(_RESULTS)]
    found = {path for name in names for path in (ROOT / name, *(ROOT / name).rglob("*"))}
    return sorted(p for p in found if not p.is_dir() and not _is_beside_code(p.relative_to(ROOT)))


def _is_beside_code(path: Path) -> bool:
    """Tell whether a path is hidden, a backup copy, or within a folder that is no code."""
    return any(p == "__pycache__" or p.startswith(".") or p.endswith("~") for p in path.parts)


def code_digest(files: Iterable[Path]) -> str:
    """Return the SHA-256 over the paths and contents of files of the checkout."""
    digest = hashlib.sha256()
    for path in files:
        content = file_sha256(path) if path.exists() else None
        digest.update(json.dumps([path.relative_to(ROOT).as_posix(), content]).encode())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_digest(content: Any) -> str:
    """Return the SHA-256 of plain values, as their sorted JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
