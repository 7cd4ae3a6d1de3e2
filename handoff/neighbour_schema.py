"""The columns of a domain's neighbourhoods, which lie beside its rows: ``neighbours/shards/DOMAIN``."""

import pyarrow as pa

FORMAT = "gristmill-neighbours-1"
ROWS, ENTITIES, RELATIONS, INDEX = "rows.arrow", "entities.arrow", "relations.arrow", "index.json"

NEIGHBOUR = pa.struct(
    [
        pa.field("relation", pa.int32()),  # row of relations.arrow
        pa.field("entity", pa.int32()),  # row of entities.arrow
    ]
)
ENTITY_SPAN = pa.struct(
    [
        pa.field("start", pa.int32()),  # first token in the row
        pa.field("length", pa.int32()),
        pa.field("entity", pa.int32()),  # row of entities.arrow
        pa.field("answer", pa.bool_()),  # to be guessed: it has no neighbours, and is none in its document
        pa.field("neighbours", pa.list_(NEIGHBOUR)),
    ]
)
ROW_SPANS = pa.schema([pa.field("spans", pa.list_(ENTITY_SPAN), False)])  # row r of the shards is row r here
ENTITY = pa.schema(
    [
        pa.field("id", pa.string(), False),  # of the graph; ascending
        pa.field("label", pa.string(), False),  # in the first of the graph's languages; the id where there is none
        pa.field("type", pa.string(), False),
        pa.field("tokens", pa.list_(pa.field("item", pa.int32(), False)), False),  # of the label, as inside a text
    ]
)
RELATION = pa.schema(
    [
        pa.field("name", pa.string(), False),  # of the graph
        pa.field("inverse", pa.bool_(), False),  # the neighbour is the head of the triple, and the entity its tail
    ]
)
