"""Where every artifact lies, relative to the root of the checkout."""

from dataclasses import dataclass
from pathlib import Path

PARAMS = Path("params.yaml")
SUITES = Path("benchmark/suites")
VARIANTS = Path("models/variants")
CLAIMS = Path("benchmark/claims/claims.yaml")
RAW = Path("data/raw")
LPIPS = RAW / "lpips"
"""Names the weights of LPIPS that were fetched, so that DVC sees when there are any."""
REPORTS = Path("reports")
REFERENCES = REPORTS / "reference"
SCRATCH = Path("models/scratch")


def raw(suite: str) -> Path:
    """Return the folder in which a suite's own or downloaded images lie."""
    return RAW / suite


def prepared(suite: str) -> Path:
    """Return the folder of a suite's packed images, splits and masks."""
    return Path("data/prepared") / suite


def baseline_scores(suite: str) -> Path:
    """Return the score table of all baselines of a suite."""
    return REPORTS / "scores" / suite / "baselines.csv"


def baseline_metrics(suite: str) -> Path:
    """Return the aggregated metrics of all baselines of a suite."""
    return REPORTS / "metrics" / suite / "baselines.json"


def baseline_completed(suite: str) -> Path:
    """Return the folder of the baselines' completed example images, `<baseline>.npy` each."""
    return REPORTS / "completed" / suite / "baselines"


def reference(suite: str) -> Path:
    """Return the folder of a suite's reference runs."""
    return REFERENCES / suite


def kept(folder: Path, path: Path) -> Path:
    """Return where a folder of reference runs keeps the artifact `reports/<kind>/<suite>/…`."""
    kind, _, *rest = path.relative_to(REPORTS).parts
    return folder.joinpath(kind, *rest)


@dataclass(frozen=True, order=True)
class Run:
    """One training run: a variant on a suite with a seed."""

    suite: str
    variant: str
    seed: int

    def __str__(self) -> str:
        return f"{self.suite}/{self.variant}/seed{self.seed}"

    @property
    def options(self) -> str:
        """Name the run on a command line."""
        return f"--suite {self.suite} --variant {self.variant} --seed {self.seed}"

    @property
    def checkpoints(self) -> Path:
        """Folder of weights and their manifest."""
        return Path("models/checkpoints") / str(self)

    @property
    def scratch(self) -> Path:
        """Folder of the resume state; git-ignored and outside DVC's outputs."""
        return SCRATCH / str(self)

    @property
    def curves(self) -> Path:
        """Table with one row per epoch: losses and validation metrics."""
        return REPORTS / "curves" / f"{self}.csv"

    @property
    def metrics(self) -> Path:
        """Aggregated test metrics."""
        return REPORTS / "metrics" / f"{self}.json"

    @property
    def scores(self) -> Path:
        """Score table: one row per test image and mask."""
        return REPORTS / "scores" / f"{self}.csv"

    @property
    def provenance(self) -> Path:
        """Digests of what the run was made from, and fingerprints of the machines."""
        return REPORTS / "provenance" / f"{self}.json"

    @property
    def version(self) -> Path:
        """Versions of the code that made the run and its scores; no output of a stage."""
        return REPORTS / "versions" / f"{self}.json"

    @property
    def diagnosis(self) -> Path:
        """What the run's discriminators predict of probes, in numbers; see `probes`."""
        return REPORTS / "diagnostics" / str(self) / "predictions.json"

    @property
    def probes(self) -> Path:
        """Picture of some probes and predictions; a variant without discriminators has none."""
        return REPORTS / "diagnostics" / str(self) / "probes.png"

    def of_split(self, split: str) -> Path:
        """Return the folder of scores on the training or validation split; git-ignored."""
        return REPORTS / "splits" / split / str(self)

    @property
    def completed(self) -> Path:
        """Completed example images, `uint8 [E, H, W, 3]`."""
        return REPORTS / "completed" / f"{self}.npy"
