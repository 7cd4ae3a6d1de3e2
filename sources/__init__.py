"""Sources: one reader per format, from files, archives and object stores to documents and rejects.

``listing`` finds the files of a source, ``read`` turns one part of them into two tables. No reader raises
for a bad record: it is counted and kept as a reject. A file that is not what its format says is a SourceError.
"""

from gristmill.corpus import _rooms

_rooms.check(__name__)
