"""The networks of a trained run, loaded for use."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from benchmark.core import paths
from benchmark.core.config import Suite, load_suite, load_variant
from benchmark.core.device import Engine, open_device
from benchmark.core.hashing import ROOT
from benchmark.training.checkpoints import Manifest, load_checkpoint, read_manifest
from benchmark.training.gan import build_networks, training_digest
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
    manifest: Manifest
    criterion: str
    """What chose the checkpoint, e.g. `best_val_psnr`."""

    @property
    def epoch(self) -> int:
        """Epochs that the checkpoint was trained for."""
        return self.manifest.checkpoints[self.criterion].epoch


def load_trained(suite: Suite, variant: Variant, run: paths.Run, engine: Engine) -> Trained:
    """Load the networks of a run, as the suite's selection rule chose them.

    Raises:
        InputError: there is no such checkpoint, or it belongs to other settings or images.
    """
    folder = run.checkpoints
    manifest = read_manifest(folder, f"python -m benchmark train {run.options}")
    if manifest.run != run:
        raise InputError(f"{folder}: holds the run {manifest.run}, not {run}")
    if manifest.data_sha256 != Store(paths.prepared(suite.name)).digest():
        raise _outdated(folder, "data", run)
    return _load(folder, manifest, suite, variant, engine, suite.evaluation.checkpoint)


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
        InputError: there is no such checkpoint, it belongs to other settings than the present ones
            of its suite and variant, or it needs to see a part of the hole.
    """
    manifest = read_manifest(folder)
    root = Path() if paths.SUITES.is_dir() else ROOT  # of another folder than a checkout: ours
    suite = load_suite(manifest.run.suite, root)
    variant = load_variant(manifest.run.variant, root)
    if border := variant.generator.shown_border_px:
        raise InputError(
            f"{folder}: {variant.name} is shown {border} px of what is in the hole, which nobody "
            "has of an image that is to be filled"
        )
    training = suite.training
    if full_precision:
        training = training.model_copy(update={"precision": "32-true"})
    engine = open_device(training, device)
    criterion = criterion or suite.evaluation.checkpoint
    return suite, variant, _load(folder, manifest, suite, variant, engine, criterion)


def _load(
    folder: Path,
    manifest: Manifest,
    suite: Suite,
    variant: Variant,
    engine: Engine,
    criterion: str,
) -> Trained:
    if manifest.config_sha256 != training_digest(suite, variant):
        raise _outdated(folder, "config", manifest.run)
    tensors = load_checkpoint(folder, manifest, criterion)
    networks = build_networks(suite, variant)
    expected: dict[str, Tensor] = {}
    for name, network in networks.items():
        expected |= with_prefix(name, network.state_dict())
    check_tensors(folder, tensors, expected)
    for name, network in networks.items():
        network.load_state_dict(without_prefix(name, tensors))
        networks[name] = engine.place(network).eval()
    discriminators = {name: networks[f"discriminator/{name}"] for name in variant.discriminators}
    inpainter = Inpainter(networks["generator"], variant.generator)
    return Trained(inpainter, discriminators, manifest, criterion)


def _outdated(folder: Path, what: str, run: paths.Run) -> InputError:
    return InputError(
        f"{folder}: was trained with another {what} than the present one of {run}; "
        f"run `python -m benchmark train {run.options}` again"
    )
