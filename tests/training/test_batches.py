"""The batches of an epoch: which images, how many, and with which holes."""

import threading
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from benchmark.core.config import Suite
from benchmark.training.batches import (
    ImageFeed,
    images_seen,
    read_ahead,
    steps_per_epoch,
    training_batches,
)
from benchmark.training.gan import build_networks
from data.errors import InputError
from models.batch import Batch, to_device
from tests.support.tiny import HOLE_PX, IMAGE_PX, full_variant, tiny_suite

COUNT, LEVELS = 10, np.arange(10, dtype=np.uint8)
"""Training images, each of one level, by which it is known."""
ANYWHERE = {"kind": "random_square", "size": HOLE_PX}


def _suite(**training: Any) -> Suite:
    mask = {"kind": "center", "size": HOLE_PX}
    return tiny_suite({"batch_size": 4, "flip": False, **training}, mask=mask)


def _epoch(suite: Suite, first_step: int = 0) -> list[Batch]:
    images = np.broadcast_to(LEVELS[:, None, None, None], (COUNT, IMAGE_PX, IMAGE_PX, 3)).copy()
    feed = ImageFeed(images, torch.device("cpu"))
    return list(training_batches(suite, 0, 0, first_step, feed))


def _levels(batches: Iterable[Batch]) -> list[list[int]]:
    return [((b.image[:, 0, 0, 0] + 1) * 127.5).round().int().tolist() for b in batches]


def test_images_that_fill_no_batch_are_left_out_or_are_a_smaller_one() -> None:
    dropped, kept = _levels(_epoch(_suite())), _levels(_epoch(_suite(drop_last=False)))
    assert [len(levels) for levels in dropped] == [4, 4]
    assert [len(levels) for levels in kept] == [4, 4, 2]
    assert kept[:2] == dropped, "the order is that of the epoch in both"
    assert sorted(level for levels in kept for level in levels) == LEVELS.tolist()
    assert _levels(_epoch(_suite(drop_last=False), first_step=2)) == kept[2:]


@pytest.mark.parametrize(
    ("drop_last", "count", "steps", "seen"),
    [(True, 10, 2, 8), (False, 10, 3, 10), (True, 8, 2, 8), (False, 8, 2, 8)],
)
def test_steps_and_images_of_epochs_are_counted(
    drop_last: bool, count: int, steps: int, seen: int
) -> None:
    training = _suite(drop_last=drop_last).training
    assert steps_per_epoch(training, count) == steps
    assert images_seen(training, count, 2 * steps) == 2 * seen
    assert images_seen(training, count, 2 * steps + 1) == 2 * seen + 4


def test_holes_of_training_can_be_elsewhere_than_those_of_the_test() -> None:
    middle = (IMAGE_PX - HOLE_PX) // 2
    as_in_test = torch.cat([batch.corner for batch in _epoch(_suite())])
    assert (as_in_test == middle).all()
    anywhere = torch.cat([batch.corner for batch in _epoch(_suite(mask=ANYWHERE))])
    assert len({tuple(corner) for corner in anywhere.tolist()}) > 3
    # The same as on a suite that has them anywhere for the test, too.
    everywhere = tiny_suite({"batch_size": 4, "flip": False}, mask=ANYWHERE)
    assert torch.equal(anywhere, torch.cat([batch.corner for batch in _epoch(everywhere)]))


def test_hole_of_training_has_to_fit_into_the_image() -> None:
    with pytest.raises(ValidationError, match=r"training\.mask: a hole of 40 px"):
        _suite(mask={"kind": "center", "size": 40})


def test_network_for_one_size_of_hole_refuses_another_one_in_training() -> None:
    smaller = _suite(mask={"kind": "random_square", "size": HOLE_PX // 2})
    with pytest.raises(InputError, match=r"training\.mask has others than mask"):
        build_networks(smaller, full_variant("context_encoder"))
    build_networks(_suite(mask=ANYWHERE), full_variant("context_encoder"))


def test_parts_that_are_read_ahead_come_in_order_and_one_ahead() -> None:
    read: list[int] = []
    arrived = threading.Event()

    def levels(part: slice) -> torch.Tensor:
        read.append(part.start)
        if part.start == 1:
            arrived.set()
        return torch.from_numpy(LEVELS[part])

    parts = [slice(n, n + 1) for n in range(3)]
    found = read_ahead(levels, parts)
    assert next(found).tolist() == [0]
    assert arrived.wait(timeout=60), "the second part is read while the first one is at work"
    assert read == [0, 1], "and no other"
    assert [part.tolist() for part in found] == [[1], [2]]
    assert list(read_ahead(levels, [])) == []


def test_error_of_reading_ahead_reaches_the_reader() -> None:
    def fail(part: slice) -> torch.Tensor:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        next(read_ahead(fail, [slice(0, 1)]))


def test_images_that_do_not_fit_on_a_device_are_the_same_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = np.broadcast_to(LEVELS[:, None, None, None], (COUNT, 4, 4, 3)).copy()
    feed, order = ImageFeed(images, torch.device("cpu")), LEVELS[::-1].astype(np.int64)
    parts = [slice(0, 4), slice(4, 8)]
    plain = [*feed.in_turn(order, torch.from_numpy(order), parts)]
    # Any other device; nothing is copied, so that the images can be looked at.
    monkeypatch.setattr("benchmark.training.batches.to_device", lambda images, device: images)
    monkeypatch.setattr("benchmark.training.batches.RESIDENT_BYTES", 0)
    elsewhere = ImageFeed(images, torch.device("meta"))
    ahead = [*elsewhere.in_turn(order, torch.from_numpy(order), parts)]
    assert [batch[:, 0, 0, 0].tolist() for batch in plain] == [[9, 8, 7, 6], [5, 4, 3, 2]]
    assert all(torch.equal(a, b) for a, b in zip(ahead, plain, strict=True))


def test_copies_to_a_gpu_do_not_wait_and_come_from_pinned_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[Any] = []

    def pin_memory(tensor: torch.Tensor) -> torch.Tensor:
        calls.append("pinned")
        return tensor

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin_memory)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *to, **how: calls.append((to, how)))
    gpu, cpu, how = torch.device("cuda", 0), torch.device("cpu"), {"non_blocking": True}
    for device in (gpu, cpu):
        to_device(torch.zeros(1), device)
    assert calls == ["pinned", ((gpu,), how), ((cpu,), how)]
