"""How many threads a training step takes. Figures: docs/decisions/0020-threads.md, ``bench/threads.py``."""

import logging

from gristmill import trainer

DEFAULT = 1  # a step of a small model is as fast with one as with more, for a third of the CPU time
log = logging.getLogger(__name__)


def thread_count(wanted: int) -> int:
    """``wanted`` threads, one for 0; and one where threads would spin while they wait for one another.

    libgomp reads how to wait when it is loaded. Where torch was imported before this package, two threads beside a
    busy process cost 6.6 times the CPU time of one.
    """
    if wanted > 1 and trainer.spins():
        log.warning(
            "torch was imported before gristmill.trainer, so that its threads would spin while they wait: training "
            "takes one of trainer.threads = %d; import gristmill.trainer first, or set OMP_WAIT_POLICY=PASSIVE",
            wanted,
        )
        return 1
    return wanted or DEFAULT
