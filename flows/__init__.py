"""Floor 2: the rooms put together. Prefect and Dask live here and nowhere else.

``stages_*`` are plain functions of a ``Mill``; ``refine`` and ``train`` wrap them in Prefect flows.
"""

from gristmill.corpus import _rooms

_rooms.check(__name__)
