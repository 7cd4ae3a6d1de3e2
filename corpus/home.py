"""Where a home is: the folder of runs, store and caches."""

import os
from pathlib import Path


def home() -> Path:
    """``$GRISTMILL_HOME``; where it is unset or empty, ``.gristmill`` in the working directory."""
    return Path(os.environ.get("GRISTMILL_HOME") or ".gristmill")
