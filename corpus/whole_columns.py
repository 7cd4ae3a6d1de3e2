"""Columns of a whole corpus, whose strings may be of more bytes than Arrow's 32-bit offsets reach.

``combine_chunks``, ``take`` and ``unique`` put all strings of a column into one array, which ends beyond 2 GiB with
"offset overflow while concatenating arrays": 67 million doc_ids of 32 characters. Here strings and lists get 64-bit
offsets from there on, and back in pieces where a schema asks for 32. Below, nothing is copied that was not before.
What is of one part needs none of this: a part is bounded.
"""

from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

MOST_BYTES = 2**31 - 1  # of a column with 32-bit offsets
PIECE_ROWS = 1 << 20


def whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as one array, of ``wide_type`` where it is larger than MOST_BYTES.

    >>> whole(pa.chunked_array([["a"], ["b"]])).to_pylist()
    ['a', 'b']
    """
    if isinstance(column, pa.Array):
        return column
    column = wide(column)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def in_one_piece(table: pa.Table) -> pa.Table:
    """The table with every column ``whole``: rows are taken from it without putting it together each time."""
    return pa.table({name: whole(table[name]) for name in table.column_names})


def taken(column: pa.Array | pa.ChunkedArray, rows: pa.Array) -> pa.Array | pa.ChunkedArray:
    """Rows of a column, in the type that it has."""
    return narrow(whole(column).take(rows), column.type)


def rows_of(table: pa.Table, rows: pa.Array) -> pa.Table:
    """Rows of a table, in its schema.

    >>> rows_of(pa.table({"n": ["a", "b"]}), pa.array([1])).to_pydict()
    {'n': ['b']}
    """
    return pa.table([taken(table[name], rows) for name in table.schema.names], table.schema)


def wide(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The column itself, or with 64-bit offsets where it is larger than MOST_BYTES."""
    return column.cast(wide_type(column.type)) if column.nbytes > MOST_BYTES else column


def narrow(column: pa.Array, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    """The inverse of ``wide``: in pieces that 32-bit offsets reach."""
    if column.type == kind:
        return column
    pieces = [column.slice(start, PIECE_ROWS).cast(kind) for start in range(0, len(column), PIECE_ROWS)]
    return pa.chunked_array(pieces, kind)


def wide_type(kind: pa.DataType) -> pa.DataType:
    """The type with 64-bit offsets, inside of lists and structs too.

    >>> wide_type(pa.list_(pa.string()))
    LargeListType(large_list<item: large_string>)
    """
    if pa.types.is_string(kind):
        return pa.large_string()
    if pa.types.is_binary(kind):
        return pa.large_binary()
    if pa.types.is_list(kind):
        return pa.large_list(kind.value_field.with_type(wide_type(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(wide_type(field.type)) for field in kind])
    return kind


def coded(column: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """A column as numbers of its different values, in order of first appearance."""
    return cast("pa.DictionaryArray", whole(wide(column).dictionary_encode()))


def index_in(values: pa.Array | pa.ChunkedArray, known: pa.Array | pa.ChunkedArray) -> pa.Array:
    """int32: the place of each value among the ``known``, null where it is none of them.

    >>> index_in(pa.array(["b", "c"]), pa.chunked_array([["a"], ["b"]])).to_pylist()
    [1, None]
    """
    return whole(pc.index_in(_searched(values), value_set=_searched(known)))


def is_in(values: pa.Array | pa.ChunkedArray, known: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """bool: whether each value is among the ``known``."""
    return pc.is_in(_searched(values), value_set=_searched(known))


def _searched(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Both sides of a search are of one type; their different values are put into one array."""
    return column.cast(wide_type(column.type))
