"""Which documents ``gristmill without`` leaves out."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSelection:
    """What is given together must all hold of a document, of several values of one key any; something is given.

    Parameters
    ----------
    source
        documents of these sources
    domain
        documents of these domains
    license
        documents under these licences; "unknown" for those without one
    lang
        documents in these languages, such as de; "unknown" for those without one
    ids
        a text file with one doc_id, or its beginning, per line
    """

    source: tuple[str, ...] = ()
    domain: tuple[str, ...] = ()
    license: tuple[str, ...] = ()
    lang: tuple[str, ...] = ()
    ids: Path | None = None
