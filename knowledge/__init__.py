"""Knowledge: a graph joined with text.

``graph`` loads entities and triples, ``names`` says which of their names are looked for, ``mentions`` finds
them in documents and joins the graph's triples to each document, ``verbalise`` turns the graph itself into
documents, ``support`` and ``type_counts`` say what the joins came to.
"""

from gristmill.corpus import _rooms

_rooms.check(__name__)
