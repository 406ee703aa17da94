"""Libraries that are capped before they are loaded."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import torch

from benchmark.core.environment import fingerprint
from benchmark.core.portable import ANY_CPU, ARRAYS, NETWORKS, is_portable
from tests.regression.test_pinned_run import has_avx2

SHOW = """
import ctypes, json, pathlib
from benchmark.core.portable import cap_arrays, cap_networks, is_portable
{caps}
import numpy, torch
from benchmark.core.environment import fingerprint
libraries = pathlib.Path(numpy.__file__).parent.with_name("numpy.libs")
blas = ctypes.CDLL(next(map(str, libraries.glob("libscipy_openblas*"))))
blas.scipy_openblas_get_corename64_.restype = ctypes.c_char_p
simd = numpy._core._multiarray_umath.__cpu_features__
print(json.dumps({{
    "portable": is_portable(),
    "cpu": fingerprint(torch.device("cpu"))["cpu"],
    "avx512": simd["X86_V4"] or simd["AVX512_ICL"],
    "blas": blas.scipy_openblas_get_corename64_().decode(),
    "torch": torch.backends.cpu.get_cpu_capability(),
    "threads": torch.get_num_threads(),
}}))
"""
both_capped = pytest.mark.skipif(not has_avx2(), reason="this is no x86-64 processor with AVX2")


def show(caps: str, **environment: str) -> dict[str, Any]:
    """Return what the libraries of a new process say of themselves."""
    others = {k: v for k, v in os.environ.items() if k not in ARRAYS | NETWORKS}
    done = subprocess.run(
        [sys.executable, "-c", SHOW.format(caps=caps)],
        env=others | environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@both_capped
def test_libraries_keep_to_the_caps_whatever_the_environment_says() -> None:
    found = show("cap_arrays(); cap_networks()", OMP_NUM_THREADS="1", MKL_CBWR="AUTO")
    assert found == {
        "portable": True,
        "cpu": ANY_CPU,
        "avx512": False,
        "blas": "Haswell",
        "torch": "AVX2",
        "threads": 2,
    }


@both_capped
@pytest.mark.parametrize(
    "caps", ["cap_arrays()", pytest.param("cap_networks()", marks=pytest.mark.slow)]
)
def test_with_a_part_of_the_caps_nothing_is_called_portable(caps: str) -> None:
    found = show(caps)
    assert not found["portable"]
    assert found["cpu"] != ANY_CPU


def test_caps_that_come_too_late_are_not_called_portable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has loaded PyTorch before says which processor it has."""
    threads = torch.get_num_threads()
    for name, value in (ARRAYS | NETWORKS).items():
        monkeypatch.setenv(name, value)
    torch.set_num_threads(1)
    try:
        assert not is_portable()
        assert fingerprint(torch.device("cpu"))["cpu"] != ANY_CPU
    finally:
        torch.set_num_threads(threads)
