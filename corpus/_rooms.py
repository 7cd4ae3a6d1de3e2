"""Guard against foreign packages that bear a room's name (PyPI has ``trainer``, ``tokenizer``, ``filters``).

From a folder outside the project such a package would win silently over ours.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
ROOMS = (
    "corpus",
    "data_cards",
    "dedup",
    "filters",
    "flows",
    "gristmill",
    "handoff",
    "knowledge",
    "mixing",
    "sources",
    "tokenizer",
    "trainer",
)


def check(house: Path = HOUSE) -> None:
    """Raise ImportError when a room would be imported from outside ``house``."""
    for room in ROOMS:
        if room in sys.modules:
            continue
        spec = find_spec(room)
        if spec is None or spec.origin is None:
            raise ImportError(f"room {room!r} is missing from {house}; reinstall gristmill")
        if Path(spec.origin).resolve().parent != house / room:
            raise ImportError(
                f"{room!r} would be imported from {Path(spec.origin).parent}, which is not part of gristmill. "
                f"Another package of that name is installed: run `pip uninstall {room}`, "
                f"or start gristmill from {house}."
            )
