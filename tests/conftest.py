"""Settings of the whole test process."""

import torch

# Tests that pin bits pin them for one thread, and small networks are no slower with it; threads
# that wait for each other would be many times slower beside another process.
torch.set_num_threads(1)
