"""Training a byte-level BPE on a keyed sample of the kept text. The tokenizers library does the training."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import trainers

from gristmill.corpus.errors import RecipeError, SchemaError
from gristmill.corpus.files import write_text
from gristmill.corpus.receipt import Outcome
from gristmill.tokenizer.encoder import CheckedEncoder
from gristmill.tokenizer.kept_text import filled, kept_batches
from gristmill.tokenizer.stage import TokenizerFacts
from gristmill.tokenizer.vocabulary import END, MIN_VOCAB_SIZE, PAD, byte_symbols, empty_tokenizer

VERSION = "2"
TOKENIZER = "tokenizer.json"
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # splitmix64


def train_tokenizer(
    parts: Sequence[tuple[Path, pa.Table]],
    folder: Path,
    *,
    vocab_size: int,
    min_frequency: int,
    sample_bytes: int,
    seed: int,
) -> Outcome:
    """Write ``folder/tokenizer.json``, trained on at most ``sample_bytes`` of kept text.

    The sample is keyed: documents in the order of a hash of doc_id and seed, held-out ones left out, until the bytes
    are used up (the last document is cut). It is the same whatever the parts are and in whatever order they come.
    Memory: a few times ``sample_bytes`` and one batch. About 3 MB of sample a CPU second.

    Parameters
    ----------
    parts : documents file and rows of ``gristmill.corpus.schema.KEPT`` of each part
    vocab_size : tokens, with 256 bytes and 2 special ones (<|endoftext|> is 0, <|pad|> is 1); at least 258
    min_frequency : a pair is merged only when it occurs as often
    sample_bytes : UTF-8 bytes
    seed : of the sample

    Returns
    -------
    Outcome : rows = documents in the sample; facts: ``TokenizerFacts``

    Raises
    ------
    RecipeError : vocab_size below 258
    """
    if vocab_size < MIN_VOCAB_SIZE:
        raise RecipeError(f"tokenizer.vocab_size is {vocab_size}; bytes and special tokens need {MIN_VOCAB_SIZE}")
    texts = _keyed_sample(parts, sample_bytes, seed)
    tokenizer = empty_tokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=[END, PAD],
        initial_alphabet=byte_symbols(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(iter(texts.to_pylist()), trainer)  # the trainer takes Python strings only
    write_text(folder / TOKENIZER, tokenizer.to_str(pretty=True) + "\n")
    n_tokens = len(CheckedEncoder(folder / TOKENIZER).encode(texts).ids) - len(texts)
    n_bytes = pc.sum(pc.binary_length(texts)).as_py() or 0
    facts = TokenizerFacts(tokenizer.get_vocab_size(), n_bytes, round(n_bytes / max(n_tokens, 1), 4))
    return Outcome(len(texts), {}, asdict(facts))


def _keyed_sample(parts: Sequence[tuple[Path, pa.Table]], sample_bytes: int, seed: int) -> pa.LargeStringArray:
    """Texts in the order of their keys, together ``sample_bytes`` or all there are."""
    sample, seen = _empty_sample(), 0
    for batch in _candidates(parts, seed):
        sample = pa.concat_tables([sample, batch])
        seen += batch.nbytes
        if seen > sample_bytes:  # what falls behind now would fall behind at the end too
            sample, seen = _lowest_keys(sample, sample_bytes), 0
    texts = _lowest_keys(sample, sample_bytes)["text"].combine_chunks()
    return _cut_last(texts, sample_bytes)


def _empty_sample() -> pa.Table:
    return pa.schema([("key", pa.uint64()), ("doc_id", pa.string()), ("text", pa.large_string())]).empty_table()


def _candidates(parts: Sequence[tuple[Path, pa.Table]], seed: int) -> Iterator[pa.Table]:
    for documents, kept in parts:
        for batch in map(filled, kept_batches(documents, kept.filter(pc.invert(kept["heldout"])))):
            columns = {"key": _keys(batch["doc_id"], seed), "doc_id": batch["doc_id"], "text": batch["text"]}
            yield pa.table(columns, _empty_sample().schema)


def _lowest_keys(sample: pa.Table, n_bytes: int) -> pa.Table:
    """The first documents in order of key that reach ``n_bytes``; the one that crosses the line is whole."""
    order = pc.sort_indices(sample, [("key", "ascending"), ("doc_id", "ascending")])
    sizes = pc.binary_length(sample["text"]).to_numpy()[order.to_numpy()]
    before = np.cumsum(sizes) - sizes
    return sample.take(order[: int(np.searchsorted(before, n_bytes))])


def _cut_last(texts: pa.LargeStringArray, n_bytes: int) -> pa.LargeStringArray:
    excess = (pc.sum(pc.binary_length(texts)).as_py() or 0) - n_bytes
    if excess <= 0:
        return texts
    last = texts[-1].as_py().encode()[:-excess].decode(errors="ignore")
    return pa.concat_arrays([texts[:-1], pa.array([last], pa.large_string())])


def _keys(doc_ids: pa.StringArray, seed: int) -> pa.Array:
    """splitmix64 of the seed and the first 16 bytes of each doc_id, which is a hash already."""
    try:
        fixed = doc_ids.cast(pa.binary()).cast(pa.binary(32))
    except pa.ArrowInvalid:
        raise SchemaError("a doc_id is not 32 characters long; see corpus.schema.DOCUMENTS") from None
    words = np.frombuffer(fixed.buffers()[1], "<u8").reshape(-1, 4)[fixed.offset : fixed.offset + len(fixed)]
    key = (words[:, 0] ^ np.uint64(seed)) * _MIX_1 ^ words[:, 1]
    key = (key ^ key >> np.uint64(30)) * _MIX_1
    key = (key ^ key >> np.uint64(27)) * _MIX_2
    return pa.array(key ^ key >> np.uint64(31))
