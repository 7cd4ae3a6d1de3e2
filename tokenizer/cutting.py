"""Removing and masking spans: the only place where a document's text is rewritten, just before it is encoded."""

import re

import numpy as np
import pyarrow as pa

from gristmill.corpus.errors import SchemaError
from gristmill.corpus.text.columns import text_column
from gristmill.tokenizer import _kernels_spans

MASK = "mask:"


def cut_spans(texts: pa.LargeStringArray, spans: pa.ListArray) -> pa.LargeStringArray:
    r"""Texts without the bytes of their spans; a span whose reason is ``mask:NAME`` leaves ``<NAME>`` behind.

    Parameters
    ----------
    texts : large_string [n_docs], no nulls
    spans : list<struct<start, end, reason>> [n_docs] (``corpus.schema.SPAN``); byte offsets in the text, in order,
        without overlap, on character boundaries

    Returns
    -------
    large_string [n_docs]; ``texts`` itself, uncopied, when there are no spans at all

    Raises
    ------
    SchemaError : a span is not as above; names the document's place in the batch

    >>> spans = pa.array([[{"start": 0, "end": 6, "reason": "line"}, {"start": 11, "end": 14, "reason": "mask:email"}]])
    >>> cut_spans(pa.array(["Menu\r\nmail a@b."], pa.large_string()), spans).to_pylist()
    ['mail <EMAIL>.']
    """
    flat: pa.StructArray = spans.flatten()
    if not len(flat):
        return texts
    text = text_column(pa.record_batch({"text": texts}))
    starts, ends = (flat.field(name).to_numpy().astype(np.int64) for name in ("start", "end"))
    span_offsets = np.concatenate([[0], np.cumsum(spans.value_lengths().to_numpy())]).astype(np.int64)
    bad = _kernels_spans.first_bad_span(*text, span_offsets, starts, ends)
    if bad >= 0:
        document = int(np.searchsorted(span_offsets, bad, "right")) - 1
        raise SchemaError(
            f"document {document} of the batch: span [{starts[bad]}, {ends[bad]}) for {flat.field('reason')[bad]} "
            "leaves the text, overlaps the span before it or splits a character; expected sorted, disjoint byte offsets"
        )
    chosen, marker_texts = _markers(flat.field("reason"))
    markers = text_column(pa.record_batch({"text": marker_texts}))
    out_offsets = np.empty(len(texts) + 1, np.int64)
    out = np.empty(int(text.offsets[-1] + np.diff(markers.offsets)[chosen].sum()), np.uint8)
    _kernels_spans.cut(*text, span_offsets, starts, ends, chosen, *markers, out_offsets, out)
    buffers = [None, pa.py_buffer(out_offsets), pa.py_buffer(out[: out_offsets[-1]])]
    return pa.Array.from_buffers(pa.large_string(), len(texts), buffers)


def _markers(reasons: pa.StringArray) -> tuple[np.ndarray, pa.LargeStringArray]:
    """Marker number of every span, and the markers' texts, one a distinct reason."""
    coded = reasons.dictionary_encode()
    texts = [marker(reason) for reason in coded.dictionary.to_pylist()]
    return coded.indices.to_numpy().astype(np.int64), pa.array(texts, pa.large_string())


def marker(reason: str) -> str:
    """What a span of this reason leaves in the text.

    >>> marker("mask:ip address"), marker("boilerplate")
    ('<IP_ADDRESS>', '')
    """
    if not reason.startswith(MASK):
        return ""
    return f"<{re.sub(r'[^A-Z0-9]+', '_', reason.removeprefix(MASK).upper()).strip('_')}>"
