"""Which entries of the store a run names and cannot read: named where a question of the run fails.

A question reads a few columns of entries that it believes: comparing all bytes first would cost a second for 2 GB. What
the disk has changed then shows up as an error of the Parquet library, which names neither file nor stage. Damage that
a run of the recipe meets stands in ``running``, and heals itself.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from gristmill.corpus.entry_check import EntryWatch
from gristmill.corpus.errors import DamagedEntryError, GristmillError
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.open_context import read_run

LIBRARIES = ("pyarrow", "polars")  # that read tables; by name, for a run begins without the second
Rest = ParamSpec("Rest")
Answer = TypeVar("Answer")


def damaged_entries(context: RunContext) -> Iterator[DamagedEntryError]:
    """Every entry of the run's stages that is there and is not what its receipt says; all bytes are compared."""
    store = context.store.watched(EntryWatch())
    for stage in (stage.name for stage in context.stages if context.run.has(stage.name)):
        for part in context.run.manifest(stage).parts:
            try:
                _ = part.files and store.find(part.stage, part.key) and store.folder(part)
            except DamagedEntryError as error:
                yield error


def damage_behind(error: Exception, contexts: Iterable[RunContext]) -> DamagedEntryError | None:
    """The first damaged entry of these runs, where the error may come of one; None where there is none.

    All bytes are compared, and so not for what the system numbers, such as a full disk.
    """
    of_a_library = type(error).__module__.partition(".")[0] in LIBRARIES
    if not of_a_library and not (isinstance(error, OSError) and error.errno is None):
        return None
    return next((found for context in contexts for found in damaged_entries(context)), None)


def names_damage(
    question: Callable[Concatenate[Path, Rest], Answer],
) -> Callable[Concatenate[Path, Rest], Answer]:
    """A question of a run: where a table of the run cannot be read, the damaged entry is named.

    Raises
    ------
    DamagedEntryError : in place of a library's error, once the entries of the run were compared with their receipts
    """

    @wraps(question)
    def asked(run: Path, /, *rest: Rest.args, **options: Rest.kwargs) -> Answer:
        try:
            return question(run, *rest, **options)
        except GristmillError:
            raise
        except Exception as error:
            runs = (one for one in (run, *rest) if isinstance(one, Path) and (one / "lock.json").is_file())
            damaged = damage_behind(error, (read_run(one, first_format=True) for one in runs))
            if damaged is None:
                raise
            raise damaged from error

    return asked
