"""Every error the mill raises on purpose.

GristmillError
├── RecipeError        the recipe is wrong; lists all mistakes        (ValueError)
├── SourceError        an input is missing or is not what its format says (ValueError)
│   └── ChangedInputError  an input is not what was listed any more
├── SchemaError        a column or table is not as agreed              (TypeError)
├── UnknownNameError   a signal, rule, key or stage unknown here       (KeyError)
│   └── AmbiguousNameError  the beginning of several names
├── StoreError         the store or a run directory is damaged         (OSError)
│   ├── DamagedFileError   a small file of a run or a home is torn, or says something else (also ValueError)
│   ├── DamagedEntryError  a store entry is not what its receipt says
│   │   └── MissingEntryError  the store has no such entry
│   ├── LockedError    another process writes this run
│   └── ReadOnlyError  a folder that had to be written cannot be
├── StageError         what a stage gave back is not what it declares (RuntimeError)
├── ConservationError  a stage lost or invented documents              (ArithmeticError)
├── BudgetError        a source lost more than its budget              (RuntimeError)
├── PolicyError        what the recipe forbids would be handed over    (ValueError)
├── PlanError          a schedule cannot be met, or a plan is damaged  (ValueError)
├── PausedError        a run waits for a person at the gate of [drift] (RuntimeError)
├── TrainError         training cannot start or go on                  (RuntimeError)
├── CardError          a card is incomplete or does not match its run  (ValueError)
└── MissingExtraError  a library of an extra is not installed          (ImportError)

A message says what is wrong and where, what was expected, and which recipe key to set.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from gristmill.handoff.failures import DamagedFileError as DamagedFileError
from gristmill.handoff.failures import GristmillError as GristmillError
from gristmill.handoff.failures import PlanError as PlanError
from gristmill.handoff.failures import SchemaError as SchemaError
from gristmill.handoff.failures import StoreError as StoreError


class RecipeError(GristmillError, ValueError):
    """The recipe is wrong."""


class SourceError(GristmillError, ValueError):
    """An input is missing or is not what its format says."""


class ChangedInputError(SourceError):
    """An input changed between its listing and its reading."""


class UnknownNameError(GristmillError, KeyError):
    """An unknown name, with the nearest known one."""

    def __init__(self, kind: str, name: str, known: Iterable[str]):
        super().__init__(f"unknown {kind} {name!r}{nearest(name, known)}")

    def __str__(self) -> str:  # KeyError would print the repr
        return str(self.args[0])


class AmbiguousNameError(UnknownNameError):
    """The beginning of several names, or a name that several bear."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, shared: bool = False):
        names = sorted(known)
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        found = f"names {len(names)}: {shown}; give one of these"
        if not shared:
            found = f"is the beginning of {len(names)} names: {shown}; give more of it"
        KeyError.__init__(self, f"{kind} {name!r} {found}")


class DamagedEntryError(StoreError):
    """A store entry is not what its receipt says."""

    def __init__(self, stage: str, key: str, what: str):
        super().__init__(stage, key, what)
        self.stage, self.key, self.what = stage, key, what

    def __str__(self) -> str:
        return f"{self.stage}/{self.key}: {self.what}; run the recipe again, which makes it anew"


class MissingEntryError(DamagedEntryError):
    """The store has no entry that a run names: the run was copied from another home, or the store was deleted."""

    def __init__(self, stage: str, key: str, store: Path | str):
        StoreError.__init__(self, stage, key, str(store))
        self.stage, self.key, self.what = stage, key, f"it is not in the store {store}"

    def __str__(self) -> str:
        return (
            f"{self.stage}/{self.key}: {self.what}. Where the run was copied from another home, set GRISTMILL_HOME to "
            "that home; else run the recipe again, which makes it anew"
        )


class LockedError(StoreError):
    """Another process writes this run."""


class ReadOnlyError(StoreError):
    """A folder that had to be written cannot be: a disk mounted to be read, or no right to write."""


class StageError(GristmillError, RuntimeError):
    """What a stage gave back is not what it declares, or the code of a plug-in failed."""


class ConservationError(GristmillError, ArithmeticError):
    """A stage lost or invented documents or bytes."""


class BudgetError(GristmillError, RuntimeError):
    """A source lost more than its retention budget."""


class PolicyError(GristmillError, ValueError):
    """Documents that the recipe forbids, by the use of their source or by licence, would be handed over."""


class TrainError(GristmillError, RuntimeError):
    """Training cannot start or go on."""


class PausedError(GristmillError, RuntimeError):
    """A run waits for a person at the gate of [drift]."""


class CardError(GristmillError, ValueError):
    """A card is incomplete or does not match its run."""


class MissingExtraError(GristmillError, ImportError):
    """A library that belongs to an extra of the package is not installed."""


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or the known names when none is near.

    >>> nearest("thresold", ["threshold", "hashes"])
    "; did you mean 'threshold'?"
    >>> nearest("zzz", ["b", "a"])
    '; known: a, b'
    """
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names)}"


def first_line(message: object) -> str:
    r"""The first line of what an error says; empty where it says nothing.

    >>> first_line(OSError("no such host\ntried 3 times"))
    'no such host'
    """
    return str(message).strip().partition("\n")[0].rstrip()
