"""The columns of a packed row, which ``gristmill.corpus.schema`` lists beside those of every other table."""

import pyarrow as pa

ROW_DOCUMENT = pa.struct(
    [
        pa.field("doc_id", pa.string()),
        pa.field("start", pa.int32()),  # first token in the row
        pa.field("length", pa.int32()),
        pa.field("offset", pa.int64()),  # first token in the document; > 0 for the later pieces of a long one
    ]
)
ROW_TARGETS = pa.struct([pa.field("start", pa.int32()), pa.field("length", pa.int32())])  # places in the row


def rows_schema(row_tokens: int, token_type: pa.DataType, *, targets: bool = False, bucket: bool = False) -> pa.Schema:
    """``tokens fixed_size_list<uint16 | uint32>[row_tokens]`` and the document slices of each row.

    ``targets``: with the places of predicted tokens that count; without the column all of them do. ``bucket``: with the
    number of the row's bucket, for a domain that is drawn in an order or with weights.
    """
    tokens = pa.field("tokens", pa.list_(pa.field("item", token_type, False), row_tokens), False)
    documents = pa.field("documents", pa.list_(ROW_DOCUMENT), False)
    places = [pa.field("targets", pa.list_(ROW_TARGETS), False)] if targets else []
    number = [pa.field("bucket", pa.int16(), False)] if bucket else []
    return pa.schema([tokens, documents, *places, *number])


def token_type(vocab_size: int) -> pa.DataType:
    """uint16 while every id fits, uint32 beyond 65,536 tokens."""
    return pa.uint16() if vocab_size <= 1 << 16 else pa.uint32()
