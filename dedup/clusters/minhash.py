"""Signatures: one MinHash per document, measured part by part and stored beside its exact hash.

The hash family is datasketch's ``affine64``, value for value: min over shingles of mix(s) * a + b mod 2^64, with
a and b drawn as datasketch draws them. Signatures are therefore 64 bits a hash (32 would save half of their space,
but no datasketch index could be queried with them) and ``to_datasketch`` is a change of wrapping, not of numbers.
Here is no search for duplicates: see ``candidates``.
"""

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import SchemaError
from gristmill.corpus.files import canonical_json
from gristmill.corpus.stage import Measured
from gristmill.corpus.text.columns import text_column
from gristmill.dedup.clusters import _kernels
from gristmill.dedup.clusters.exact import text_keys
from gristmill.dedup.clusters.stage import SignatureOptions

if TYPE_CHECKING:
    from datasketch import LeanMinHash

SIGNATURES = "signatures.parquet"
FAMILY = b"minhash"  # key of the schema's metadata: how the signatures were made


def signatures_schema(shingle_words: int, hashes: int, seed: int) -> pa.Schema:
    """doc_id, text_hash, bytes of text, number of shingles, signature; the family in the metadata."""
    family = {"scheme": "affine64", "shingle_words": shingle_words, "hashes": hashes, "seed": seed % 2**32}
    return pa.schema(
        [
            pa.field("doc_id", pa.string(), False),
            pa.field("text_hash", pa.string(), False),
            pa.field("bytes", pa.int64(), False),
            pa.field("shingles", pa.int32(), False),
            pa.field("signature", pa.list_(pa.field("item", pa.uint64(), False), hashes), False),
        ],
        metadata={FAMILY: canonical_json(family).encode()},
    )


def permutations(hashes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers (odd) and addends ``uint64[hashes]`` of the family, equal to datasketch's for the same seed.

    datasketch draws them from numpy's RandomState, whose stream is frozen and whose seed has 32 bits:
    the low 32 bits of ``seed`` count.
    """
    draw = np.random.RandomState(seed % 2**32)
    odd = draw.randint(0, 1 << 63, hashes, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    return odd, draw.randint(0, 1 << 64, hashes, dtype=np.uint64)


def measure(batch: pa.RecordBatch, *, shingle_words: int, hashes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Number of shingles ``int32[n_docs]`` and signatures ``uint64[n_docs, hashes]`` of a batch with ``text``.

    A shingle is ``shingle_words`` words in a row. A word is a run of letters, digits and marks, case folded (ASCII and
    ``_unicode_fold``), and every Han or kana character is a word; runs of Thai, Lao, Burmese and Khmer, which have no
    spaces between words, are cut into pieces of about three characters by their content (``_kernels_unspaced``). A text
    of fewer words is one shingle of them all; a text without any word has no shingle and a signature of 2^64 - 1
    everywhere.

    Source: Broder 1997; datasketch 2.0, scheme ``affine64``. Cost: one pass, 8 x hashes bytes a document.
    """
    text = text_column(batch)
    counts = np.empty(text.n_docs, np.int32)
    signatures = np.empty((text.n_docs, hashes), np.uint64)
    _kernels.signatures(text.offsets, text.data, shingle_words, *permutations(hashes, seed), counts, signatures)
    return counts, signatures


def schema_of(options: SignatureOptions) -> pa.Schema:
    """The table of signatures under these options."""
    return signatures_schema(options.shingle_words, options.hashes, options.seed)


def measure_batch(batch: pa.RecordBatch, options: SignatureOptions, state: None) -> Measured:  # noqa: ARG001
    """Signatures of a batch, with the exact hash of each text and its size."""
    schema = schema_of(options)
    counts, signatures = measure(batch, shingle_words=options.shingle_words, hashes=options.hashes, seed=options.seed)
    n_bytes = pc.binary_length(batch["text"]).cast(pa.int64())
    columns = [batch["doc_id"], text_keys(batch, options.exact), n_bytes, counts, _as_lists(signatures, schema)]
    return Measured(tables={SIGNATURES: pa.record_batch(columns, schema=schema)})


def _as_lists(signatures: np.ndarray, schema: pa.Schema) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(signatures.reshape(-1)), type=schema.field("signature").type)


def signature_matrix(batch: pa.RecordBatch) -> np.ndarray:
    """The signature column as ``uint64[n_docs, hashes]``, without a copy."""
    column = batch["signature"]
    return column.flatten().to_numpy(zero_copy_only=True).reshape(len(column), column.type.list_size)


def family_of(schema: pa.Schema) -> dict[str, Any]:
    """How the signatures of a table were made: scheme, shingle_words, hashes, seed.

    Raises
    ------
    SchemaError : the table does not say
    """
    if FAMILY not in (schema.metadata or {}):
        raise SchemaError("signatures without the family they are of in their metadata; compute them again")
    return json.loads(schema.metadata[FAMILY])


def to_datasketch(signatures: pa.RecordBatch | pa.Table) -> "list[LeanMinHash]":
    """Signature rows as datasketch's LeanMinHash, for its LSH indexes, forests and ensembles.

    They compare and collide with every ``MinHash(num_perm=hashes, seed=seed, scheme="affine64")`` whose hash function
    returns the same shingle hashes. One Python object a row: for exports and samples, not for a whole corpus.
    """
    from datasketch import LeanMinHash

    seed = family_of(signatures.schema)["seed"]
    batches = [signatures] if isinstance(signatures, pa.RecordBatch) else signatures.to_batches()
    rows = (row for batch in batches for row in signature_matrix(batch))
    return [LeanMinHash(seed=seed, hashvalues=row, scheme="affine64") for row in rows]
