"""The hand-over: what any trainer reads. The plan says which row is sample i, shards hold the rows, the loader joins
them, trace names the documents of a batch, audit compares training with the plan. Files, never imports, lead here.
"""

from gristmill.corpus import _rooms

_rooms.check(__name__)
