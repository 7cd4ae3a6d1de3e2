"""Where bytes of a document stand once its spans are cut out or masked."""

import numpy as np
import pyarrow as pa

from gristmill.tokenizer.cutting import marker
from gristmill.tokenizer.token_places import ByteStretches

_DOCUMENT = 32  # bits of a place in a document


def after_cuts(spans: pa.ListArray, bytes_: ByteStretches) -> tuple[ByteStretches, np.ndarray]:
    """Stretches in the text that ``cut_spans`` leaves, and bool [n]: no byte of it was cut or masked.

    Parameters
    ----------
    spans : list<struct<start, end, reason>> [n_docs], in order, without overlap
    bytes_ : in the texts before their cuts

    >>> spans = pa.array([[{"start": 0, "end": 6, "reason": "line"}, {"start": 11, "end": 14, "reason": "mask:email"}]])
    >>> moved, whole = after_cuts(spans, ByteStretches(*np.array([[0, 0], [6, 4], [10, 7]])))  # mail, and a cut one
    >>> moved.start[0], moved.end[0], whole.tolist()
    (np.int64(0), np.int64(4), [True, False])
    """
    flat = spans.flatten()
    document = np.repeat(np.arange(len(spans)), spans.value_lengths().to_numpy()) << _DOCUMENT
    start, end = (flat.field(name).to_numpy().astype(np.int64) for name in ("start", "end"))
    coded = flat.field("reason").dictionary_encode()
    left = np.array([len(marker(reason).encode()) for reason in coded.dictionary.to_pylist()], np.int64)
    moved = np.append(0, np.cumsum(left[coded.indices.to_numpy()] - (end - start)))
    key = bytes_.document << _DOCUMENT
    before = np.searchsorted(document + end, key + bytes_.start, side="right")
    begun = np.searchsorted(document + start, key + bytes_.end, side="left")
    shift = moved[before] - moved[np.searchsorted(document, key, side="left")]
    return ByteStretches(bytes_.document, bytes_.start + shift, bytes_.end + shift), begun <= before
