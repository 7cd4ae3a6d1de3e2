"""Texts that were made of a graph, in the columns of DOCUMENTS."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa
import xxhash

from gristmill.corpus.files import canonical_json
from gristmill.corpus.identity import document_id
from gristmill.corpus.schema import DOCUMENTS


def worded_documents(
    worded: pl.DataFrame,
    locators: Sequence[str],
    meta: Sequence[Mapping[str, Any]],
    *,
    source: str,
    domain: str,
    licence: str | None,
) -> pa.Table:
    """DOCUMENTS, one row per text. A loop over texts hashes them: xxhash takes one string at a time.

    Parameters
    ----------
    worded : text and lang of n documents
    locators, meta : of each, n
    """
    texts, n = worded["text"].to_list(), worded.height
    columns = {
        "doc_id": [document_id(source, locator) for locator in locators],
        "text": texts,
        "source": [source] * n,
        "domain": [domain] * n,
        "lang": worded["lang"].to_list(),
        "license": [licence] * n,
        "url": [None] * n,
        "created": [None] * n,
        "locator": locators,
        "text_hash": [xxhash.xxh3_128_hexdigest(text.encode()) for text in texts],
        "meta": [canonical_json(one) for one in meta],
    }
    return pa.Table.from_pydict(columns, schema=DOCUMENTS)
