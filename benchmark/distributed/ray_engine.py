"""Tasks -> Ray, which runs them on the machines of a cluster that share the checkout."""

import os
import socket
from concurrent.futures import Future
from typing import Any

from benchmark.distributed import tasks
from benchmark.distributed.tasks import Task, run_command
from data.errors import InputError

LOCAL = "local"
"""The address that means a cluster of this machine alone, which ends with the command."""
CONNECT_S = 5.0
TRIES = 3
"""How often a task begins anew after the machine that ran it has gone."""


class RayEngine:
    """Runs tasks on a Ray cluster.

    Raises:
        InputError: Ray is not installed, there is no such cluster, or no machine of it has so many
            GPUs.
    """

    def __init__(self, address: str, gpus: int, cpus: int) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # A task that asks for no GPU of Ray sees those of its machine, as with `dvc repro`.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray as library
        except ImportError:
            raise InputError("--ray needs `pip install ray`") from None
        if address not in (LOCAL, "auto"):
            _check_address(address)
        ray: Any = library
        self._ray = ray
        try:
            ray.init(
                address=address, include_dashboard=False if address == LOCAL else None,
                log_to_driver=False, logging_level="ERROR",
            )  # fmt: skip
        except (ConnectionError, ValueError, RuntimeError) as error:
            line = str(error).strip().splitlines()[0]
            raise InputError(f"--ray {address}: no cluster there ({line})") from None
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        most = max((machine.get("GPU", 0) for machine in machines), default=0)
        if gpus > most:
            self.close()
            raise InputError(f"--gpus-per-run {gpus}: the largest machine of Ray has {most:.0f}")
        cores = max(machine.get("CPU", 1) for machine in machines)
        ray.cloudpickle.register_pickle_by_value(tasks)  # the machines need not find this module
        self._run = ray.remote(run_command).options(
            num_cpus=min(cpus, cores), num_gpus=gpus, max_retries=TRIES
        )
        self._references: list[Any] = []

    def submit(self, task: Task) -> "Future[int]":
        """Run a task when a machine has room, and again elsewhere where that machine goes."""
        reference = self._run.remote(task)
        self._references.append(reference)
        future: Future[int] = reference.future()
        return future

    def close(self) -> None:
        """Stop what runs, and leave the cluster."""
        for reference in getattr(self, "_references", ()):
            self._ray.cancel(reference)
        self._ray.shutdown()


def _check_address(address: str) -> None:
    """Refuse an address where nobody answers, for which Ray would wait for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise InputError(f"--ray {address}: no cluster there; it is HOST:PORT, auto or local")
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"--ray {address}: no cluster there ({reason})") from None
