"""Copies headlines and tables of `reports/report.md` into README.md, so that none is typed."""

import re
from pathlib import Path

from benchmark.core import paths
from benchmark.core.files import write_text
from data.errors import InputError

START = "<!-- results: written by `python -m benchmark readme` -->\n"
END = "<!-- end of results -->\n"


def update_readme(readme: Path = Path("README.md")) -> None:
    """Write the results into the README, where they have changed.

    Raises:
        InputError: the report is missing, or the README has no place for results.
    """
    text = _read(readme, "it is part of the repository")
    made_by = "`python -m benchmark report` makes it"
    updated = with_results(text, _read(paths.REPORTS / "report.md", made_by))
    if updated != text:
        write_text(readme, updated)


def with_results(readme: str, report: str) -> str:
    """Return the README with the results of a report between its markers."""
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise InputError(f"README.md: needs a line {START.strip()!r} and a line {END.strip()!r}")
    return before + START + _results(report) + END + after


def _results(report: str) -> str:
    """Return each suite's headline and first table."""
    parts = []
    for section in re.split(r"^## ", report, flags=re.MULTILINE)[1:]:
        headline = re.search(r"^\*\*.*\*\*$", section, flags=re.MULTILINE)
        table = re.search(r"(?:^\|.*\n)+", section, flags=re.MULTILINE)
        if headline and table:
            parts.append(f"{headline[0]}\n\n{table[0]}")
    return "\n".join(parts)


def _read(path: Path, origin: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: missing; {origin}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: damaged ({error}); {origin}") from None
