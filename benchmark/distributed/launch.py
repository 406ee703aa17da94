"""A command -> the same command in several processes that train one run together.

The processes are started, watched and stopped by PyTorch's elastic agent, the engine of `torchrun`.
"""

import logging
import os
import re
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous.api import RendezvousError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from benchmark.core.exit_codes import FAILED, FINE, INTERRUPTED, complain
from benchmark.core.portable import usable_cpus
from benchmark.distributed.group import LOST, RUN_ID
from benchmark.distributed.parent import PARENT
from data.errors import InputError

PORT = 29400


def launch(words: Sequence[str], device: str, devices: int, nodes: int, meet_at: str | None) -> int:
    """Run a command of this program in several processes and return its exit code.

    Args:
        words: the command with its options.
        device: `cpu`, `cuda`, or `auto`.
        devices: processes on this machine, each with a device of its own.
        nodes: machines, on each of which the same command is given.
        meet_at: `HOST:PORT` of one of them; not needed for one, nor under Slurm.

    Raises:
        InputError: there are fewer devices, or nobody says where the machines meet.
    """
    there = torch.cuda.device_count() if device != "cpu" else 0
    if (device == "cuda" or there) and devices > there:
        raise InputError(f"--devices {devices}: PyTorch finds {there} CUDA devices here")
    threads = max(1, usable_cpus() // devices)
    os.environ |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    os.environ[PARENT] = str(os.getpid())
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # a line is enough
    with tempfile.TemporaryDirectory(prefix="inpaintbench") as logs:
        config = LaunchConfig(
            min_nodes=nodes,
            max_nodes=nodes,
            nproc_per_node=devices,
            run_id=f"{RUN_ID}-{os.environ.get('SLURM_JOB_ID', '0')}",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0" if nodes == 1 else meeting_point(meet_at, os.environ),
            max_restarts=0,  # the run goes on where it was when it is started again
            # The terminal shows the first process alone.
            logs_specs=DefaultLogsSpecs(
                log_dir=logs, redirects={number: Std.ALL for number in range(1, devices)}
            ),
        )
        try:
            elastic_launch(config, sys.executable)("-m", "benchmark", *words)
        except ChildFailedError as error:
            return _blame(error.failures)
        except RendezvousError as error:
            raise InputError(f"--nodes {nodes}: the machines did not meet ({error})") from None
        except SignalException:
            return INTERRUPTED
    return FINE


def meeting_point(meet_at: str | None, environment: Mapping[str, str]) -> str:
    """Return `HOST:PORT` where the machines of a run meet.

    Raises:
        InputError: it is neither given, nor is this a step of a Slurm job; or it is no such place.
    """
    if meet_at is None:
        meet_at = environment.get("SLURM_LAUNCH_NODE_IPADDR")  # that of `srun`, which runs on one
    if meet_at is None:
        raise InputError(
            "--nodes: say where the machines meet, --meet-at HOST:PORT with a host of theirs"
        )
    found = re.fullmatch(r"([\w.-]+)(?::([0-9]{0,5}))?", meet_at)
    port = int((found and found[2]) or PORT)
    if not found or not 1 <= port < 2**16:
        raise InputError(f"--meet-at: {meet_at!r} is no HOST:PORT, with a port of 1 to 65535")
    return f"{found[1]}:{port}"


def _blame(failures: Mapping[int, ProcessFailure]) -> int:
    """Say in a line which process failed first, if it did not say so itself; return the code."""

    def guilt(failure: ProcessFailure) -> tuple[bool, int]:
        return (failure.exitcode == LOST, failure.timestamp)

    number, first = min(failures.items(), key=lambda item: guilt(item[1]))
    if first.exitcode < 0:
        name = signal.Signals(-first.exitcode).name
        reason = f"was killed by {name}; all have stopped, and the same command continues"
    elif first.exitcode == LOST:
        reason = "lost the connection to another; all have stopped, and the same command continues"
    elif first.local_rank == 0:  # its line is on the terminal
        return first.exitcode
    else:
        said = _last_line(Path(first.error_file).with_name("stderr.log"))
        reason = f"ended: {said.removeprefix('error: ')}"
        return complain(f"process {number} {reason}", first.exitcode)
    return complain(f"process {number} {reason}", FAILED)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return lines[-1] if lines else "it said nothing"
