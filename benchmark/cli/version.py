"""The version of the project and the commit of the checkout, in one line."""

import tomllib

from benchmark.core.git import described
from benchmark.core.hashing import ROOT


def version_line() -> str:
    """Return e.g. `inpaintbench 0.1.0 (commit 0d04b51, with changes)`."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    line = f"{project['name']} {project['version']}"
    if (found := described()) is None:
        return line
    commit, changed = found
    return f"{line} (commit {commit}{', with changes' if changed else ''})"
