"""Models that answer. Nothing is imported here; but before anything of this package imports PyTorch, its threads
are kept from spinning while they wait for one another.

By default they do, and beside one busy process on two cores a token then takes 850 ms instead of 80. OpenMP reads
this once, when it is loaded with PyTorch, and only from the environment. What the operator set there stays.
"""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "20000")
