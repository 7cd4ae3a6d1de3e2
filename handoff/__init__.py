"""The hand-over: what any trainer reads. The plan says which row is sample i, shards hold the rows, the loader joins
them, trace names the documents of a batch, audit compares training with the plan. Files, never imports, lead here.

It needs numpy, pyarrow, numba and xxhash, and nothing else of gristmill: a copy of this folder as ``gristmill/handoff``
anywhere on Python's path is enough.
"""

if __name__ != "gristmill.handoff":
    raise ImportError(f"import gristmill.handoff, not {__name__}: a room has one name; a copy lies in a gristmill/")
