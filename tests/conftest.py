"""Settings of the whole test process."""

import os

# Before PyTorch is loaded: see benchmark/__main__.py, which the stages' own processes go through.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

# Tests that pin bits pin them for one thread, and small networks are no slower with it.
torch.set_num_threads(1)
