"""What the authors of the systems print of their own results, in the units of their protocols."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from benchmark.claims.protocols import PROTOCOLS
from benchmark.core.config import Name
from benchmark.core.yaml_files import load

PUBLISHED = Path("benchmark/claims/reported.yaml")


class PrintedTable(BaseModel):
    """A table, or a row or column of one, of a source."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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
    def _is_of_a_protocol(self) -> "PrintedTable":
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol {self.protocol} is not one of {', '.join(PROTOCOLS)}")
        names = [column.name for column in PROTOCOLS[self.protocol].columns]
        for variant, figures in self.figures.items():
            if strange := sorted(figures.keys() - set(names)):
                where = f"figures.{variant}.{strange[0]}"
                raise ValueError(f"{where}: {self.protocol} has only {', '.join(names)}")
        return self


class _Published(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    tables: Sequence[PrintedTable] = Field(min_length=1)


def load_published(root: Path = Path()) -> Sequence[PrintedTable]:
    """Return what is published, in the order of the file.

    Raises:
        InputError: a key is unknown, missing or wrong.
    """
    return load(_Published, root / PUBLISHED).tables
