"""`reports/throughput.json`: what was timed, on which machine, every repetition of it."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmark.core.files import read_json, write_json
from benchmark.core.paths import REPORTS
from benchmark.core.yaml_files import validate
from models.networks import discriminator_class, generator_class

THROUGHPUT = REPORTS / "throughput.json"
MADE_BY = "make bench"

Seconds = Annotated[float, Field(gt=0)]
Role = Literal["generator", "discriminator"]


class _Record(BaseModel):
    """A part of the file, which also has numbers that follow from others, for other readers."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Measured(_Record):
    """What a subject took; a call is what is repeated, such as a training step of a batch."""

    images: int = Field(ge=1)
    """Of one call."""
    gflop: float | None = Field(default=None, ge=0)
    """Of one call; None where no operation is a product or convolution that PyTorch counts."""
    memory_mib: float | None = Field(default=None, ge=0)
    """By how much it raised the peak of the memory in use, while it was set up and called once."""
    wall_s: tuple[Seconds, ...] = Field(min_length=1)
    """Seconds of one call, in each round."""
    cpu_s: tuple[Seconds, ...] = Field(min_length=1)
    """The same in seconds of CPU time, of all threads."""

    @property
    def seconds(self) -> float:
        """The median of the rounds."""
        return median(self.wall_s)

    @property
    def spread(self) -> float:
        """From the fastest to the slowest round, as a share of the median."""
        return (max(self.wall_s) - min(self.wall_s)) / self.seconds

    @property
    def images_per_s(self) -> float:
        """How many images go through in a second."""
        return self.images / self.seconds

    @property
    def ms_per_image(self) -> float:
        """Milliseconds for an image of a batch."""
        return 1000 / self.images_per_s

    @property
    def gflop_per_s(self) -> float | None:
        """How many operations are done in a second."""
        return None if self.gflop is None else self.gflop / self.seconds


class Roof(_Record):
    """A float32 matrix product, the most that this machine computes in a second."""

    gflop: float = Field(gt=0)
    wall_s: tuple[Seconds, ...] = Field(min_length=1)
    """Seconds of one product, the median of each round."""
    cpu_s: tuple[Seconds, ...] = Field(min_length=1)
    """The same in seconds of CPU time."""
    best_s: Seconds
    """Of the whole run."""

    @property
    def gflop_per_s(self) -> float:
        """At its best."""
        return self.gflop / self.best_s


class Throughput(_Record):
    """The whole file."""

    machine: dict[str, Any]
    """Its fingerprint, see `fingerprint`."""
    code: dict[str, Any]
    """See `git.code_version`."""
    batch_size: int = Field(ge=1)
    image_px: int = Field(ge=1)
    roof: Roof
    subjects: dict[str, Measured]
    missing: dict[str, str] = {}
    """What could not be measured, with the reason."""

    def roof_share(self, name: str) -> float | None:
        """Return the share of the roof that a subject reaches."""
        rate = self.subjects[name].gflop_per_s
        return None if rate is None else rate / self.roof.gflop_per_s

    @property
    def machine_text(self) -> str:
        """The machine in a few words."""
        facts = self.machine
        device = facts.get("gpu") or f"{facts.get('cpu')}, {facts.get('threads')} threads"
        return f"{device}, torch {facts.get('libraries', {}).get('torch')}"


def forward_name(role: Role, network: str, options: Mapping[str, Any]) -> str:
    """Return the name of the forward pass of a network, with the options beyond its defaults."""
    find: Any = generator_class if role == "generator" else discriminator_class
    defaults = inspect.signature(find(network)).parameters
    own = {key: value for key, value in options.items() if value != defaults[key].default}
    return " ".join([f"{role}/{network}", *(f"{key}={own[key]}" for key in sorted(own))])


def step_name(variant: str) -> str:
    """Return the name of a variant's training step."""
    return f"step/{variant}"


def read_throughput(path: Path) -> Throughput:
    """Read such a file.

    Raises:
        InputError: it is missing or damaged.
    """
    return validate(Throughput, read_json(path, MADE_BY), path)


def write_throughput(path: Path, found: Throughput) -> None:
    """Write the file, with what follows from its numbers beside them.

    Raises:
        InputError: it cannot be written.
    """
    content = found.model_dump(mode="json")
    content["roof"]["gflop_per_s"] = _short(found.roof.gflop_per_s)
    for name, measured in found.subjects.items():
        rate, share = measured.gflop_per_s, found.roof_share(name)
        content["subjects"][name] |= {
            "images_per_s": _short(measured.images_per_s),
            "gflop_per_s": None if rate is None else _short(rate),
            "roof_share": None if share is None else _short(share),
        }
    write_json(path, content)


def _short(value: float) -> float:
    return float(f"{value:.4g}")
