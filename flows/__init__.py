"""flows room."""

import corpus  # noqa: F401  checks the house and the kernel cache
