"""Settings of the libraries under which every x86-64 processor with AVX2 computes the same bits.

Libraries choose instructions, and with them the order of sums, by the processor that they find. So
what they may choose is capped, and the number of threads fixed. A library reads its settings once,
when it is loaded: this module loads none.

Deep-MI/FastSurfer#892 reports equal bits of float32 inference over four models of processors with
the first three settings of PyTorch; `docs/reproducibility.md` says what was tried of trainings.
"""

import os
import platform
import sys

THREADS = 2
ANY_CPU = "any with AVX2"
"""What the fingerprint of a portable result has in place of a processor."""

ARRAYS = {
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # some rounds differently
    "OPENBLAS_CORETYPE": "Haswell",
    # More threads than cores it does not start, so that a number of two is not always kept.
    "OPENBLAS_NUM_THREADS": "1",
}
"""Of NumPy and SciPy, which cost little and hold for every command."""

NETWORKS = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",  # its branch AVX2 is for processors of one make
    "MKL_DYNAMIC": "FALSE",
    "MKL_NUM_THREADS": str(THREADS),
    "OMP_DYNAMIC": "FALSE",
    "OMP_NUM_THREADS": str(THREADS),
}
"""Of PyTorch, where a suite asks for them."""


def cap_arrays() -> None:
    """Cap NumPy and SciPy, which must not be loaded yet."""
    os.environ.update(ARRAYS)


def usable_cpus() -> int:
    """Return how many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_one_of_several() -> bool:
    """Return whether this process was started, by `torchrun` or as it does, to share a run."""
    return "WORLD_SIZE" in os.environ


def cap_networks() -> None:
    """Cap PyTorch. Where it is loaded already, that has no effect; see `is_portable`.

    Nor has it in one of several processes: these share the cores, and their result is not portable.
    """
    if not is_one_of_several():
        os.environ.update(NETWORKS)


def is_portable() -> bool:
    """Return whether what this process computes on the CPU has the same bits on any other."""
    if platform.machine() not in ("x86_64", "AMD64") or "torch" not in sys.modules:
        return False
    import torch

    return (
        (ARRAYS | NETWORKS).items() <= os.environ.items()
        and torch.backends.cpu.get_cpu_capability() == "AVX2"
        and torch.get_num_threads() == THREADS
    )
