"""Processes that tests start and kill, forked from one that has loaded the house.

A fresh process spends 4 to 6 CPU seconds on imports before its first step. The server that is forked runs nothing
itself, so no thread and no lock of another test is lost in a fork.
"""

from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(["gristmill.flows.direct", "gristmill.trainer.training.loop", "torch._dynamo"])


def exit_status(function: Callable[..., None], *arguments: Any) -> int:
    """Call a function of a module in a process of its own; its exit status, -9 where it was killed."""
    process = FORKS.Process(target=function, args=arguments)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode
