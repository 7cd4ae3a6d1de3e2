"""Which documents are the same: byte for byte, or nearly so by the Jaccard similarity of their word shingles.

``minhash`` measures one part (signatures); ``candidates``, ``verify`` and ``clusters`` find and prove the
duplicates among all parts; ``curve`` says what to expect, ``alarms`` when to stop. Nothing is removed here:
which document of a cluster stays is decided later, among those that pass the rules.

Within kept documents, ``lines`` finds repeated lines and paragraphs and ``substrings`` repeated runs of tokens: they
give spans of bytes, and text is rewritten once, when it is encoded.
"""

from gristmill.corpus import _rooms

_rooms.check(__name__)
