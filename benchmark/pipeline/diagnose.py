"""The diagnose stage: what a run's discriminators go by, asked with probes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from lightning.fabric import Fabric
from torch import Tensor
from tqdm import tqdm

from benchmark.core import paths
from benchmark.core.config import Suite
from benchmark.core.device import open_device
from benchmark.core.files import write_json
from benchmark.evaluation.diagnosis import CONFIDENCE, REPLICATES, SEED, Resamples, diagnosis
from benchmark.evaluation.predictions import Judgements, join, judge
from benchmark.evaluation.probes import PROBES, fade_px, make_probes, unit_noise
from benchmark.evaluation.test_set import TestSet, load_test_set
from benchmark.inference.trained import Trained, load_trained
from benchmark.metrics import PROTOCOL, quantise
from benchmark.reporting.figures.pictures import chosen_rows, save_image
from benchmark.reporting.figures.probe_picture import probe_picture
from benchmark.training.batches import make_batch
from benchmark.training.network_inputs import complete
from benchmark.training.out_of_memory import batch_setting, memory_for
from models.variant import DiscriminatorSpec, Variant

EXAMPLES = 4
"""Test images that the picture shows."""

Said = dict[str, dict[str, Judgements]]
"""Judgements by discriminator and probe."""


@dataclass(frozen=True)
class Interview:
    """Discriminators, and the test images that they are asked about."""

    trained: Trained
    asked: Mapping[str, DiscriminatorSpec]
    test: TestSet
    hole_size: int
    device: torch.device

    def boxes(self, rows: Sequence[int]) -> Tensor:
        """Return the first hole of some test images, `[n, 4]` in pixels."""
        return torch.from_numpy(self.test.boxes[list(rows), 0]).to(self.device)

    @torch.no_grad()
    def probes(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Return the probes of some test images, `[n, 3, H, W]` uint8 each."""
        boxes = self.boxes(rows)
        images = torch.from_numpy(self.test.images[list(rows)]).to(self.device)
        done = complete(self.trained.inpainter, images, boxes, self.hole_size)
        batch = make_batch(images, boxes, self.hole_size)
        # No pixel is missing, so none is filled in or marked.
        unmasked = self.trained.inpainter.network(
            batch.image, torch.zeros_like(batch.mask), batch.corner
        )
        hashes = [self.test.records[row].sha256 for row in rows]
        noise = torch.from_numpy(unit_noise(hashes, images.shape[1])).to(self.device)
        reconstructed = quantise(unmasked.float())
        return make_probes(done.target, boxes, done.quantised, reconstructed, noise)

    def answers(self, probes: Mapping[str, Tensor], boxes: Tensor) -> Said:
        """Ask every discriminator about every probe."""
        return {
            name: {
                probe: judge(self.trained.discriminators[name], spec, images, boxes)
                for probe, images in probes.items()
            }
            for name, spec in self.asked.items()
        }


def diagnose_run(suite: Suite, variant: Variant, run: paths.Run, device: str = "auto") -> None:
    """Ask the discriminators of a trained run about probes; write the numbers and a picture.

    One that had not started by the scored checkpoint is not asked. Without any, the picture shows
    the probes alone.

    Raises:
        InputError: the run is not trained, or was trained with other settings or images; or there
            is not enough memory.
    """
    fabric = open_device(suite.training, device)
    with memory_for(batch_setting(suite, "evaluation"), fabric.device):
        _diagnose(fabric, suite, variant, run)


def _diagnose(fabric: Fabric, suite: Suite, variant: Variant, run: paths.Run) -> None:
    trained = load_trained(suite, variant, run, fabric)
    progress = trained.epoch / suite.training.epochs
    asked = {name: d for name, d in variant.discriminators.items() if progress > d.start}
    test = load_test_set(suite)
    interview = Interview(trained, asked, test, suite.mask.size, fabric.device)
    said = _ask_all(interview, str(run), suite.evaluation.batch_size) if asked else {}
    resamples = Resamples(len(test.rows))
    content = {
        "protocol": PROTOCOL,
        "suite": run.suite,
        "variant": run.variant,
        "seed": run.seed,
        "checkpoint": trained.criterion,
        "epoch": trained.epoch,
        "images": len(test.rows),
        "image_px": suite.image_size,
        "fade_px": fade_px(suite.mask.size),
        "bootstrap": {"replicates": REPLICATES, "seed": SEED, "confidence": CONFIDENCE},
        "missing": {} if len(test.rows) > 1 else {"intervals": "there is one test image"},
        "discriminators": {
            name: diagnosis(spec, said.get(name), resamples)
            for name, spec in variant.discriminators.items()
        },
    }
    write_json(run.diagnosis, content)
    labels = [test.records[row].label for row in test.rows]
    rows = [test.rows[i] for i in chosen_rows(labels, most=EXAMPLES, most_classes=EXAMPLES)]
    names = [test.records[row].label or f"#{row}" for row in rows]
    probes, boxes = interview.probes(rows), interview.boxes(rows)
    said = interview.answers(probes, boxes)
    pixels = {name: image.permute(0, 2, 3, 1).cpu().numpy() for name, image in probes.items()}
    save_image(run.probes, probe_picture(pixels, boxes.cpu().numpy(), said, names))


def _ask_all(interview: Interview, name: str, batch_size: int) -> Said:
    """Ask about all test images, a batch at a time."""
    rows = interview.test.rows
    parts: list[Said] = []
    with tqdm(total=len(rows), desc=f"diagnose {name}", unit="image", leave=False) as bar:
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            parts.append(interview.answers(interview.probes(part), interview.boxes(part)))
            bar.update(len(part))
    return {
        name: {probe: join([part[name][probe] for part in parts]) for probe in PROBES}
        for name in interview.asked
    }
