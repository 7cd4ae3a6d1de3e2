"""The trainer: a compact Mixture-of-Experts language model that trains on a run directory and nothing else of the mill.

The only room that imports torch. It proves the hand-over: every row that the model consumed is written down
and can be compared with the plan.
"""

import corpus  # noqa: F401  checks the house and the kernel cache
