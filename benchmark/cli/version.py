"""The version of the project and the commit of the checkout, in one line."""

import subprocess
import tomllib

from benchmark.core.hashing import ROOT


def version_line() -> str:
    """Return e.g. `inpaintbench 0.1.0 (commit 0d04b51, with changes)`."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    line = f"{project['name']} {project['version']}"
    described = _described()
    if described is None:
        return line
    commit, _, changes = described.partition("-")
    return f"{line} (commit {commit}{', with changes' if changes else ''})"


def _described() -> str | None:
    """Return `<commit>` or `<commit>-dirty`; None without git or a repository of the checkout."""
    if not (ROOT / ".git").exists():  # it may lie within another project's repository
        return None
    command = ["git", "--no-optional-locks", "describe", "--always", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
