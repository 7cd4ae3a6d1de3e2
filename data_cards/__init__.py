"""Data cards: what a run did, in card.json for machines and README.md, croissant.json, card.html for people.

``card`` is card.json as types, one for each of its ``parts``; ``gather`` fills it from the run's receipts and tables;
``render`` writes everything else from it, by ``sections``; ``check`` gathers again and compares. No number is typed by
hand.
"""

from gristmill.corpus import _rooms

_rooms.check(__name__)
