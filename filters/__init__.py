"""filters room."""

from gristmill.corpus import _rooms

_rooms.check(__name__)
