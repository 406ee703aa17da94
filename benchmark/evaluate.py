"""The evaluate stage: test-set scores of a trained run."""

import torch
from lightning.fabric import Fabric
from torch import Tensor

from benchmark import paths
from benchmark.config import Suite
from benchmark.device import open_device
from benchmark.environment import fingerprint
from benchmark.files import atomic_path, write_json
from benchmark.ledger import write_ledger
from benchmark.memory import batch_setting, memory_for
from benchmark.scoring import load_test_set, metrics_content, save_examples, score_method
from benchmark.trained import load_trained
from benchmark.views import complete
from models.variant import Variant


def evaluate_run(suite: Suite, variant: Variant, run: paths.Run, device: str = "auto") -> None:
    """Score a trained run and write its ledger, its metrics and its completed examples.

    Raises:
        InputError: the run is not trained, or was trained with other settings or images; or there
            is not enough memory.
    """
    fabric = open_device(suite.training, device)
    with memory_for(batch_setting(suite, "evaluation"), fabric.device):
        _evaluate(fabric, suite, variant, run)


def _evaluate(fabric: Fabric, suite: Suite, variant: Variant, run: paths.Run) -> None:
    trained = load_trained(suite, variant, run, fabric)
    test = load_test_set(suite)

    def fill(rows: list[int], mask_number: int) -> Tensor:
        images = torch.from_numpy(test.images[rows]).to(fabric.device)
        boxes = torch.from_numpy(test.boxes[rows, mask_number]).to(fabric.device)
        return complete(trained.inpainter, images, boxes, suite.mask.size).quantised.cpu()

    ledger, completed = score_method(variant.name, run.seed, test, fill, suite.evaluation)
    write_ledger(run.scores, ledger)
    content = metrics_content(suite, run.scores)
    content |= {"checkpoint": trained.criterion, "epoch": trained.epoch}
    write_json(run.metrics, content)
    provenance = {"training": trained.origin, "evaluation": fingerprint(fabric.device)}
    write_json(run.provenance, provenance)
    with atomic_path(run.completed) as partial:
        save_examples(partial, completed)
