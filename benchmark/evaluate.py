"""The evaluate stage: test-set scores of a trained run."""

import torch
from lightning.fabric import Fabric
from torch import Tensor

from benchmark import paths
from benchmark.checkpoints import load_checkpoint, without_prefix
from benchmark.config import Suite
from benchmark.device import open_device
from benchmark.environment import fingerprint
from benchmark.files import atomic_path, write_json
from benchmark.ledger import write_ledger
from benchmark.players import build_generator, training_digest
from benchmark.scenes import complete
from benchmark.scoring import load_test_set, metrics_content, save_examples, score_method
from data.errors import InputError
from data.store import Store
from models.variant import Variant


def evaluate_run(suite: Suite, variant: Variant, run: paths.Run, device: str = "auto") -> None:
    """Score a trained run and write its ledger, its metrics and its completed examples.

    Raises:
        InputError: the run is not trained, or was trained with other settings or images.
    """
    fabric = open_device(suite.training, device)
    generator, manifest = load_generator(suite, variant, run, fabric)
    test = load_test_set(suite)

    def fill(rows: list[int], mask_number: int) -> Tensor:
        images = torch.from_numpy(test.images[rows]).to(fabric.device)
        boxes = torch.from_numpy(test.boxes[rows, mask_number]).to(fabric.device)
        return complete(generator, images, boxes, suite.mask.size).quantised.cpu()

    ledger, completed = score_method(variant.name, run.seed, test, fill, suite.evaluation)
    write_ledger(run.scores, ledger)
    chosen = manifest["checkpoints"][suite.evaluation.checkpoint]
    content = metrics_content(suite, run.scores)
    content |= {"checkpoint": suite.evaluation.checkpoint, "epoch": chosen["epoch"]}
    write_json(run.metrics, content)
    provenance = {
        "training": {
            k: manifest[k] for k in manifest if k.endswith("_sha256") or k == "environment"
        },
        "evaluation": fingerprint(fabric.device),
    }
    write_json(run.provenance, provenance)
    with atomic_path(run.completed) as partial:
        save_examples(partial, completed)


def load_generator(
    suite: Suite, variant: Variant, run: paths.Run, fabric: Fabric
) -> tuple[torch.nn.Module, dict[str, dict[str, dict[str, int]]]]:
    """Load the generator that the suite's selection rule chose, and the manifest.

    Raises:
        InputError: there is no such checkpoint, or it belongs to other settings or images.
    """
    command = (
        f"python -m benchmark train --suite {run.suite} --variant {run.variant} --seed {run.seed}"
    )
    tensors, manifest = load_checkpoint(run.checkpoints, suite.evaluation.checkpoint, command)
    for what, expected in (
        ("config", training_digest(suite, variant)),
        ("data", Store(paths.prepared(suite.name)).digest()),
    ):
        if manifest.get(f"{what}_sha256") != expected:
            raise InputError(
                f"{run.checkpoints}: was trained with another {what} than the present one; "
                f"run `{command}` again"
            )
    network = build_generator(suite, variant)
    network.load_state_dict(without_prefix("generator", tensors))
    generator: torch.nn.Module = fabric.setup_module(network)
    return generator.eval(), manifest
