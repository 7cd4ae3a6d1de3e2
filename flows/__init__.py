"""Floor 2: the rooms put together. Prefect and Dask live here and nowhere else.

``stages_*`` are plain functions of a ``Mill``; ``refine`` and ``train`` wrap them in Prefect flows.
"""

import corpus  # noqa: F401  checks the house and the kernel cache
