"""The networks of a trained run, loaded for use."""

from dataclasses import dataclass
from typing import Any

from lightning.fabric import Fabric
from torch import nn

from benchmark import paths
from benchmark.checkpoints import load_checkpoint, without_prefix
from benchmark.config import Suite
from benchmark.players import build_discriminator, build_generator, training_digest
from benchmark.views import Inpainter
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


def load_trained(
    suite: Suite,
    variant: Variant,
    run: paths.Run,
    fabric: Fabric,
    criterion: str | None = None,
    *,
    check_data: bool = True,
) -> Trained:
    """Load the networks of a run, as the suite's selection rule or another one chose them.

    Args:
        suite: the suite of the run.
        variant: the variant of the run.
        run: names of both, and the seed.
        fabric: the device.
        criterion: `last`, `best_val_psnr`, …; the suite's where it is None.
        check_data: whether the prepared images must be there and those that it was trained on.

    Raises:
        InputError: there is no such checkpoint, or it belongs to other settings or images.
    """
    command = (
        f"python -m benchmark train --suite {run.suite} --variant {run.variant} --seed {run.seed}"
    )
    criterion = criterion or suite.evaluation.checkpoint
    tensors, manifest = load_checkpoint(run.checkpoints, criterion, command)
    expected = {"config": training_digest(suite, variant)}
    if check_data:
        expected["data"] = Store(paths.prepared(suite.name)).digest()
    for what, digest in expected.items():
        if manifest.get(f"{what}_sha256") != digest:
            raise InputError(
                f"{run.checkpoints}: was trained with another {what} than the present one; "
                f"run `{command}` again"
            )
    generator = build_generator(suite, variant)
    generator.load_state_dict(without_prefix("generator", tensors))
    discriminators: dict[str, nn.Module] = {}
    for name in variant.discriminators:
        network = build_discriminator(suite, variant, name)
        network.load_state_dict(without_prefix(f"discriminator/{name}", tensors))
        discriminators[name] = fabric.setup_module(network).eval()
    inpainter = Inpainter(fabric.setup_module(generator).eval(), variant.generator)
    return Trained(inpainter, discriminators, manifest, criterion)
