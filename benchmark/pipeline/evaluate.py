"""The evaluate stage: test-set scores of a trained run."""

import torch
from lightning.fabric import Fabric
from torch import Tensor

from benchmark.core import paths
from benchmark.core.config import Suite
from benchmark.core.device import open_device
from benchmark.core.environment import fingerprint
from benchmark.core.files import atomic_path, write_json
from benchmark.evaluation.score_table import write_score_table
from benchmark.evaluation.test_set import (
    load_test_set,
    metrics_content,
    save_examples,
    score_method,
)
from benchmark.inference.trained import load_trained
from benchmark.training.network_inputs import complete
from benchmark.training.out_of_memory import batch_setting, memory_for
from models.variant import Variant


def evaluate_run(suite: Suite, variant: Variant, run: paths.Run, device: str = "auto") -> None:
    """Score a trained run and write its score table, its metrics and its completed examples.

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

    score_table, completed = score_method(variant.name, run.seed, test, fill, suite.evaluation)
    write_score_table(run.scores, score_table)
    content = metrics_content(suite, run.scores)
    content |= {"checkpoint": trained.criterion, "epoch": trained.epoch}
    write_json(run.metrics, content)
    provenance = {"training": trained.origin, "evaluation": fingerprint(fabric.device)}
    write_json(run.provenance, provenance)
    with atomic_path(run.completed) as partial:
        save_examples(partial, completed)
