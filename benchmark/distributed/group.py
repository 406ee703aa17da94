"""The processes of one run: how they find each other, and what they agree on besides tensors.

They are started by `launch.py` or by `torchrun`, both of which number them in the environment.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

from benchmark.core.exit_codes import FAILED, complain
from benchmark.core.hashing import json_digest
from benchmark.core.portable import is_one_of_several
from data.errors import InputError
from models.replicas import processes, rank, together

RUN_ID = "inpaintbench"
"""With what the name of a run begins for those that `launch.py` starts."""
LOST = 75
"""Exit code of one of them that stops as another has gone: it is not the one to blame."""
PATIENCE = timedelta(hours=2)
"""How long a process waits for another: the first one validates while the rest wait."""
_LOST = ("Connection closed by peer", "Connection reset by peer", "Connection refused")
"""How gloo puts it that a process has gone."""


@contextmanager
def process_group() -> Iterator[None]:
    """Join the other processes of a run, if there are any.

    Raises:
        InputError: what the environment says of them cannot be used.
    """
    if not is_one_of_several():
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        distributed.init_process_group(backend, timeout=PATIENCE)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"the processes cannot join: {' '.join(str(error).split())}") from None
    try:
        yield
    finally:
        distributed.destroy_process_group()


def is_loss_of_a_process(error: RuntimeError) -> bool:
    """Return whether an error says that another process of the run has gone."""
    named = isinstance(error, distributed.DistError)
    return named or any(text in str(error) for text in _LOST)


def note_loss() -> int:
    """Return the exit code after another process has gone, and say so where nobody else does."""
    if os.environ.get("TORCHELASTIC_RUN_ID", "").startswith(RUN_ID):
        return LOST
    return complain("another process of the run has gone; the same command continues", FAILED)


def any_of(flag: bool) -> bool:
    """Return whether the flag is set in any process; each has to ask."""
    if not together():
        return flag
    flags = torch.tensor([flag], dtype=torch.int32)
    distributed.all_reduce(flags)
    return bool(flags)


def from_first(content: bytes | None) -> bytes:
    """Return the bytes that the first process has; what the others give is not looked at."""
    if not together():
        assert content is not None
        return content
    size = torch.tensor([len(content or b"")])
    distributed.broadcast(size, 0)
    buffer = torch.empty(int(size), dtype=torch.uint8)
    if rank() == 0 and content:
        buffer = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    distributed.broadcast(buffer, 0)
    return bytes(buffer.numpy())


def check_sameness(facts: Mapping[str, Any]) -> None:
    """Compare facts of all processes with those of the first one.

    Raises:
        InputError: a process has other ones, for example another version of the code.
    """
    if not together():
        return
    digests = [bytes.fromhex(json_digest(fact)) for fact in facts.values()]
    ours = torch.frombuffer(bytearray(b"".join(digests)), dtype=torch.uint8).view(len(facts), -1)
    everyones: list[Tensor] = [torch.empty_like(ours) for _ in range(processes())]
    distributed.all_gather(everyones, ours)
    for number, theirs in enumerate(everyones):
        other = [
            w for w, same in zip(facts, (theirs == everyones[0]).all(1), strict=True) if not same
        ]
        if other:
            raise InputError(
                f"process {number} of {processes()} has another {other[0]} than process 0; "
                "give all machines the same checkout and images"
            )
