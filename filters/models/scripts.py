"""Scripts: the writing systems of a document's letters, as shares. No model; one pass over the text."""

import numpy as np
import pyarrow as pa

from gristmill.corpus.text.columns import TextColumn
from gristmill.filters.models._kernels_scripts import count_scripts
from gristmill.filters.models._unicode_scripts import SCRIPTS
from gristmill.filters.models.stage import SCRIPT_SHARES

NO_SCRIPT = "none"


def script_columns(text: TextColumn) -> dict[str, pa.Array]:
    """``script_main`` and one share a script.

    Returns
    -------
    dict: script_main string, the script of most letters (the first in ``SCRIPTS`` of equals), ``none`` without letters;
    script_<name>_share double, letters of that script as a share of all letters, 0 to 1. Digits, marks and punctuation
    belong to no script here

    >>> from gristmill.corpus.text.columns import text_column
    >>> found = script_columns(text_column(pa.record_batch({"text": ["Mill 7, мельница", "..."]})))
    >>> found["script_main"].to_pylist(), found["script_cyrillic_share"].to_pylist()
    (['cyrillic', 'none'], [0.6666666666666666, 0.0])
    """
    counts = np.empty((text.n_docs, len(SCRIPTS)), np.int64)
    count_scripts(*text, counts)
    letters = counts.sum(axis=1)
    shares = counts / np.maximum(letters, 1)[:, None]
    names = np.array([*SCRIPTS, NO_SCRIPT], object)
    main = names[np.where(letters > 0, counts.argmax(axis=1), len(SCRIPTS))]
    columns = zip(SCRIPT_SHARES, map(pa.array, np.ascontiguousarray(shares.T)), strict=True)
    return {"script_main": pa.array(main, pa.string()), **dict(columns)}
