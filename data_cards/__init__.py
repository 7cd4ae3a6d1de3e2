"""Data cards: what a run did, in card.json for machines and README.md, croissant.json, card.html for people.

``facts`` gathers card.json from the run's manifests and ledger, ``render`` writes everything else from card.json
alone, ``check`` tells what a card lacks or where it differs from its run. No number is typed by hand.
"""

from gristmill.corpus import _rooms

_rooms.check(__name__)
