"""kept.domain of documents by their main type: [knowledge.domains]. documents.domain stays the source's."""

from collections.abc import Mapping, Sequence

import polars as pl
import pyarrow as pa


def with_type_domains(kept: pa.Table, main_types: pa.Table, domains: Mapping[str, Sequence[str]]) -> pa.Table:
    """``kept`` with the domain that each document's main type belongs to; its own where the type belongs to none.

    Parameters
    ----------
    main_types : doc_id, main_type of every document
    domains : types by domain, no type in two

    >>> kept = pa.table({"doc_id": ["1", "2"], "domain": ["web", "web"]})
    >>> types = pa.table({"doc_id": ["1", "2"], "main_type": ["Q336", ""]})
    >>> with_type_domains(kept, types, {"science": ["Q336"]})["domain"].to_pylist()
    ['science', 'web']
    """
    domain_of = {kind: name for name, kinds in domains.items() for kind in kinds}
    types = pl.DataFrame(main_types.select(["doc_id", "main_type"]))
    ids = pl.DataFrame(kept.select(["doc_id", "domain"]))
    joined = ids.join(types, on="doc_id", how="left", maintain_order="left")
    named = joined["main_type"].replace_strict(domain_of, default=None, return_dtype=pl.String)
    place = kept.schema.get_field_index("domain")
    column = named.fill_null(joined["domain"]).to_arrow().cast(pa.string())
    return kept.set_column(place, kept.schema.field(place), column)
