"""A pipeline of four stages that copy a file, for tests of what runs several stages at a time."""

import subprocess
import sys
import time
from collections.abc import Callable

PIPELINE = """\
stages:
  split:
    cmd: cp source split
    deps: [source]
    outs: [split]
  train:
    foreach: [1, 2]
    do:
      cmd: cp split train${item}
      deps: [split]
      outs: ['train${item}']
  report:
    cmd: cp train2 report
    deps: [train1, train2]
    outs: [report]
"""

NAMES = {"split", "train@1", "train@2", "report"}


def dvc(*words: str) -> str:
    command = [sys.executable, "-m", "dvc", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def wait_until(is_so: Callable[[], bool], patience_s: float = 60) -> None:
    end = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)
