"""The networks of a trained run, loaded for use."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from benchmark.core import paths
from benchmark.core.config import Suite, load_suite, load_variant
from benchmark.core.device import Engine, open_device
from benchmark.core.files import read_json
from benchmark.training.checkpoints import MANIFEST, load_checkpoint, training_origin
from benchmark.training.gan import build_discriminator, build_generator, training_digest
from benchmark.training.network_inputs import Inpainter
from benchmark.training.tensors import check_tensors, with_prefix, without_prefix
from data.errors import InputError
from data.store import Store
from models.variant import Variant


@dataclass(frozen=True)
class Trained:
    """The networks of a checkpoint, in evaluation mode, on a device."""

    inpainter: Inpainter
    discriminators: dict[str, nn.Module]
    manifest: dict[str, Any]
    criterion: str
    """What chose the checkpoint, e.g. `best_val_psnr`."""

    @property
    def epoch(self) -> int:
        """Epochs that the checkpoint was trained for."""
        return int(self.manifest["checkpoints"][self.criterion]["epoch"])

    @property
    def origin(self) -> dict[str, Any]:
        """Digests of the weights and of what they were made from, and the machine."""
        return training_origin(self.manifest, self.criterion)


def load_trained(
    suite: Suite,
    variant: Variant,
    run: paths.Run,
    engine: Engine,
    criterion: str | None = None,
) -> Trained:
    """Load the networks of a run, as the suite's selection rule or another one chose them.

    Args:
        suite: the suite of the run.
        variant: the variant of the run.
        run: names of both, and the seed.
        engine: the device.
        criterion: `last`, `best_val_psnr`, …; the suite's where it is None.

    Raises:
        InputError: there is no such checkpoint, or it belongs to other settings or images.
    """
    trained = _load(run.checkpoints, suite, variant, run.seed, engine, criterion)
    if (origin := run_of(run.checkpoints)) != run:
        raise InputError(f"{run.checkpoints}: holds the run {origin}, not {run}")
    if trained.manifest.get("data_sha256") != Store(paths.prepared(suite.name)).digest():
        raise _outdated(run.checkpoints, "data", run)
    return trained


def load_folder(
    folder: Path, device: str, criterion: str | None = None, *, full_precision: bool = False
) -> tuple[Suite, Variant, Trained]:
    """Load the networks of a folder of checkpoints, wherever it lies, for use on other images.

    The images that they were trained on need not be there.

    Args:
        folder: what the train stage wrote, or a copy of it.
        device: `cpu`, `cuda` or `auto`.
        criterion: `last`, `best_val_psnr`, …; the suite's where it is None.
        full_precision: whether to compute in float32 where the suite says otherwise.

    Raises:
        InputError: there is no such checkpoint, or it belongs to other settings than the present
            ones of its suite and variant.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; `python -m benchmark train` makes "
            "models/checkpoints/<suite>/<variant>/seed<seed>"
        )
    run = run_of(folder)
    suite, variant = load_suite(run.suite), load_variant(run.variant)
    training = suite.training
    if full_precision:
        training = training.model_copy(update={"precision": "32-true"})
    engine = open_device(training, device)
    return suite, variant, _load(folder, suite, variant, run.seed, engine, criterion)


def run_of(folder: Path) -> paths.Run:
    """Return the run to which a folder of checkpoints belongs.

    Raises:
        InputError: it holds none.
    """
    manifest = read_json(folder / MANIFEST, "python -m benchmark train")
    try:
        run = paths.Run(**manifest["run"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / MANIFEST}: not a checkpoint manifest ({error!r})") from None
    if [*map(type, (run.suite, run.variant, run.seed))] != [str, str, int]:
        raise InputError(f"{folder / MANIFEST}: not a checkpoint manifest ({run!r})")
    return run


def _load(
    folder: Path, suite: Suite, variant: Variant, seed: int, engine: Engine, criterion: str | None
) -> Trained:
    run = paths.Run(suite.name, variant.name, seed)
    criterion = criterion or suite.evaluation.checkpoint
    tensors, manifest = load_checkpoint(
        folder, criterion, f"python -m benchmark train {run.options}"
    )
    if manifest.get("config_sha256") != training_digest(suite, variant):
        raise _outdated(folder, "config", run)

    networks = {"generator": build_generator(suite, variant)}
    for name in variant.discriminators:
        networks[f"discriminator/{name}"] = build_discriminator(suite, variant, name)
    expected: dict[str, Tensor] = {}
    for name, network in networks.items():
        expected |= with_prefix(name, network.state_dict())
    check_tensors(folder, tensors, expected)

    def load(name: str) -> nn.Module:
        networks[name].load_state_dict(without_prefix(name, tensors))
        return engine.place(networks[name]).eval()

    generator = load("generator")
    discriminators = {name: load(f"discriminator/{name}") for name in variant.discriminators}
    return Trained(Inpainter(generator, variant.generator), discriminators, manifest, criterion)


def _outdated(folder: Path, what: str, run: paths.Run) -> InputError:
    return InputError(
        f"{folder}: was trained with another {what} than the present one of {run}; "
        f"run `python -m benchmark train {run.options}` again"
    )
