"""Columns of addresses without the credentials in them. What a credential is, ``gristmill.corpus.credentials`` says."""

import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.credentials import CANDIDATE, without_credentials


def column_without_credentials(column: pa.Array) -> pa.Array:
    """A string column with its addresses so changed; itself where none has a credential.

    Rows that can have one are found columnar, then changed one by one: of web pages fewer than 1 in 1,000.
    """
    rows = pc.indices_nonzero(pc.fill_null(pc.match_substring_regex(column, CANDIDATE), False)).to_pylist()
    if not rows:
        return column
    values = column.to_pylist()
    for row in rows:
        values[row] = without_credentials(values[row])
    return pa.array(values, column.type)
