"""How many threads PyTorch computes with, in the thread that asks for them.

OpenMP makes a team of threads for each thread that computes with several. A second team makes the first wait in
the kernel at each of its thousands of meetings a second, and the model is half as fast. So only the model's own
thread has a team; whatever loads or prepares a model computes alone.
"""

import os

import torch

_AT_START = torch.get_num_threads()  # what the operator set with OMP_NUM_THREADS, or one a core


def use(count: int | None) -> None:
    """`None` is one for each processor core that we may use, or what OMP_NUM_THREADS says."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(count or min(_AT_START, usable))
