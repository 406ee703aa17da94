"""`reported.yaml` → the figures that the authors report, in the units of their protocols."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, model_validator

from benchmark.claims.protocols import PROTOCOLS
from benchmark.core.config import Name
from benchmark.core.yaml_files import Frozen, load

REPORTED = Path("benchmark/claims/reported.yaml")


class ReportedTable(Frozen):
    """A table, or a row or column of one, of a source."""

    source: str = Field(min_length=1)
    where: str = Field(min_length=1)
    """The place in the source."""
    data: str = Field(min_length=1)
    """Images and hole."""
    protocol: Name
    """A key of `PROTOCOLS`."""
    figures: dict[Name, dict[str, float]] = Field(min_length=1)
    """By variant and figure of the protocol."""

    @model_validator(mode="after")
    def _is_of_a_protocol(self) -> "ReportedTable":
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol {self.protocol} is not one of {', '.join(PROTOCOLS)}")
        names = [column.name for column in PROTOCOLS[self.protocol].columns]
        for variant, figures in self.figures.items():
            if strange := sorted(figures.keys() - set(names)):
                where = f"figures.{variant}.{strange[0]}"
                raise ValueError(f"{where}: {self.protocol} has only {', '.join(names)}")
        return self


class _Reported(Frozen):
    tables: Sequence[ReportedTable] = Field(min_length=1)


def load_reported(root: Path = Path()) -> Sequence[ReportedTable]:
    """Return the reported tables, in the order of the file.

    Raises:
        InputError: a key is unknown, missing or wrong.
    """
    return load(_Reported, root / REPORTED).tables
