"""Models that answer. Nothing is imported here; but before anything of this package imports PyTorch, it is settled
how long its threads spin while they wait for one another.

By default that is for milliseconds, and beside one busy process on two cores a token then takes ten times as long;
without spinning each of hundreds of meetings in a step costs a tenth of a millisecond, and a token on an idle
machine twice as long. The count is about a tenth of a millisecond of spinning: just longer than what lies between
two meetings. OpenMP reads it once, when it is loaded with PyTorch, and only from the environment. What the
operator set there stays.
"""

import os

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "6000")
