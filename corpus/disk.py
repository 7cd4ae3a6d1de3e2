"""Faults of the disk that gristmill writes to: they are no fault of an input, and one sentence says what is wrong."""

import errno
import os
import re
from pathlib import Path

from gristmill.corpus.home import home
from gristmill.corpus.unfinished import END

FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG))  # reading a file raises none of these
SHORT = re.compile(r"\d+ requested and \d+ written")  # numpy, of an array: a short write, which has no number
TOLD = re.compile(r"\[Errno (\d+)\]")  # shutil.copytree gathers texts
PAGE = "could not verify page integrity"  # of a Parquet file, as Arrow says it
ASIDE = re.compile(rf"(^|/)\.([^/]+)\.[^/.]+{re.escape(END)}(?=/|$)")  # what is written before it gets its name
UNUSABLE = FULL | {errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EIO}


def disk_problem(error: OSError) -> str | None:
    """One sentence for a disk that is full, read-only, damaged or not ours; None for any other error.

    >>> disk_problem(NotADirectoryError(20, "Not a directory", "/dev/null/.x.toml.0a1b.tmp"))
    '/dev/null/x.toml: Not a directory'
    >>> disk_problem(OSError(30, "Read-only file system", ".gristmill/store")).partition(";")[0]
    '.gristmill/store: Read-only file system'
    >>> disk_problem(OSError("no number"))
    >>> (disk_problem(OSError("512 requested and 496 written")) or "").partition(";")[0]
    'No space left on device'
    >>> (disk_problem(OSError([("a", "b", "[Errno 28] No space left on device: 'b'")])) or "").partition(";")[0]
    'No space left on device'
    """
    if PAGE in str(error):
        return "a page of a table is not what was written; run the recipe again, which names it and makes it anew"
    if error.errno is None and (number := _number(str(error))):
        error = OSError(number, os.strerror(number))
    if error.errno not in UNUSABLE:
        return None
    named = ASIDE.sub(r"\1\2", str(error.filename or ""))
    where, reason = f"{named}: " if named else "", error.strerror or error
    if named and not _is_at_home(named):
        return f"{where}{reason}"
    return f"{where}{reason}; what was finished is kept. The home is GRISTMILL_HOME, or .gristmill without it"


def _is_at_home(name: str) -> bool:
    """True in the home and for what it cannot be made in."""
    own, path = home().absolute(), Path(name).absolute()
    return path.is_relative_to(own) or own.is_relative_to(path)


def _number(text: str) -> int | None:
    """The number of the system's error that a text tells."""
    if SHORT.search(text):
        return errno.ENOSPC
    found = TOLD.search(text)
    return int(found[1]) if found else None
