"""Mixing: how much of each domain is trained on, and when. A curriculum's phases, their feasibility, baselines
for those without one, and the compiler that turns them into a plan for ``handoff``.
"""

from gristmill.corpus import _rooms

_rooms.check(__name__)
