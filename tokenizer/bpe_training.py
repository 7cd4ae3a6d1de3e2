"""Training a byte-level BPE on a keyed sample of the kept text. The tokenizers library does the training."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import trainers

from gristmill.corpus.errors import SchemaError
from gristmill.corpus.files import write_text
from gristmill.corpus.memory import give_back
from gristmill.corpus.receipt import Outcome
from gristmill.tokenizer.encoder import CheckedEncoder
from gristmill.tokenizer.kept_text import filled, kept_batches
from gristmill.tokenizer.stage import PAD, TokenizerFacts
from gristmill.tokenizer.stage import Tokenizer as TokenizerSection
from gristmill.tokenizer.text_counts import sum_by
from gristmill.tokenizer.tokenizer_json import TOKENIZER, SpecialTokens
from gristmill.tokenizer.vocabulary import byte_symbols, empty_tokenizer

SLICE = 512  # texts
WAITING = 0.25  # of a sample, beside it, until both are put in order
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # splitmix64


def train_tokenizer(
    parts: Sequence[tuple[Path, pa.Table]],
    folder: Path,
    *,
    section: TokenizerSection,
    seed: int,
    shares: Mapping[str, float] | None = None,
) -> Outcome:
    """Write ``folder/tokenizer.json``, trained on at most ``section.sample_bytes`` of kept text.

    The sample is keyed: documents in the order of a hash of doc_id and seed, held-out ones left out, until the bytes
    are used up (the last document is cut). It is the same whatever the parts are and in whatever order they come.
    Memory: 2.3 times ``sample_bytes``, one batch, and what the library needs to count words. About 3 MB of sample a
    CPU second.

    Parameters
    ----------
    parts : documents file and rows of ``gristmill.corpus.schema.KEPT`` of each part
    section : of the recipe, ``chat_template`` as text. The end token is id 0, <|pad|> 1, then come further ones
    seed : of the sample
    shares : of the sample's bytes, by domain: what a domain lacks, the others give in proportion. None = no matter
        where a document comes from

    Returns
    -------
    Outcome : rows = documents in the sample; facts: ``TokenizerFacts``
    """
    budgets = None if shares is None else _budgets(_sizes(parts), shares, section.sample_bytes)
    sample = _keyed_sample(parts, section.sample_bytes, seed, budgets)
    n_bytes, by_domain = int(_text_bytes(sample).sum()), sum_by(sample["domain"], _text_bytes(sample))
    texts = sample["text"]
    del sample
    give_back()
    special = SpecialTokens(
        section.specials.end,
        section.specials.pad or PAD,
        section.specials.begin,
        section.specials.control,
        section.chat_template,
    )
    tokenizer = empty_tokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=section.vocab_size,
        min_frequency=section.min_frequency,
        special_tokens=list(special.named),
        initial_alphabet=byte_symbols(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text for some in _slices(texts) for text in some.to_pylist()), trainer)
    write_text(folder / TOKENIZER, tokenizer.to_str(pretty=True) + "\n")
    special.write(folder)
    encoder = CheckedEncoder(folder / TOKENIZER)
    n_tokens = sum(len(encoder.encode(some).ids) - len(some) for some in _slices(texts))
    facts = TokenizerFacts(
        vocab_size=tokenizer.get_vocab_size(),
        sample_bytes=n_bytes,
        bytes_per_token=round(n_bytes / max(n_tokens, 1), 4),
        end=special.end,
        sample_by_domain=dict(sorted(by_domain.items())),
    )
    return Outcome(len(texts), {}, asdict(facts))


def _slices(texts: pa.ChunkedArray) -> Iterator[pa.LargeStringArray]:
    """SLICE texts at a time: as Python strings, which the trainer takes alone, or as tokens, the whole is too much."""
    return (chunk[at : at + SLICE] for chunk in texts.chunks for at in range(0, len(chunk), SLICE))


def _sizes(parts: Sequence[tuple[Path, pa.Table]]) -> dict[str, int]:
    """Bytes of text that may be in the sample, by domain."""
    found: Counter[str] = Counter()
    for batch in _candidates(parts, 0):
        found.update(sum_by(batch["domain"], _text_bytes(batch)))
    return found


def _budgets(sizes: Mapping[str, int], shares: Mapping[str, float], n_bytes: int) -> dict[str, int]:
    """Bytes of each domain in proportion to ``shares``, none more than it has; what is left goes to the others.

    >>> _budgets({"web": 900, "math": 10}, {"web": 0.5, "math": 0.5}, 100)
    {'math': 10, 'web': 90}
    """
    found, left = dict.fromkeys(sorted(sizes), 0), n_bytes
    while weights := {name: shares.get(name, 0.0) for name in found if found[name] < sizes[name] and shares.get(name)}:
        total = sum(weights.values())
        given = {name: min(int(left * weight / total), sizes[name] - found[name]) for name, weight in weights.items()}
        if not any(given.values()):
            break
        found |= {name: found[name] + more for name, more in given.items()}
        left -= sum(given.values())
    return found


def _text_bytes(table: pa.Table) -> np.ndarray:
    return pc.binary_length(table["text"]).to_numpy()


def _keyed_sample(
    parts: Sequence[tuple[Path, pa.Table]], sample_bytes: int, seed: int, budgets: Mapping[str, int] | None = None
) -> pa.Table:
    """Texts in the order of their keys, together ``sample_bytes`` or all there are; of each domain its budget."""
    if budgets is not None:
        one_by_one = [_keyed_domain(parts, n, seed, domain) for domain, n in budgets.items() if n]
        return pa.concat_tables([_empty_sample(), *one_by_one]).sort_by([("key", "ascending"), ("doc_id", "ascending")])
    return _keyed_domain(parts, sample_bytes, seed, None)


def _keyed_domain(parts: Sequence[tuple[Path, pa.Table]], sample_bytes: int, seed: int, domain: str | None) -> pa.Table:
    """The sample of one domain, or of all together."""
    held, waiting, last = [_empty_sample()], 0, None
    for batch in _candidates(parts, seed, domain):
        held.append(_up_to(batch, last))
        waiting += held[-1].nbytes
        if waiting > sample_bytes * WAITING:
            last, waiting = _last_key(held, sample_bytes), 0
            for place in range(len(held)):
                held[place] = _up_to(held[place], last)
            held = [one for one in held if len(one)] or held[:1]
            give_back()
    return _cut_last(_lowest_keys(pa.concat_tables(held), sample_bytes), sample_bytes)


def _up_to(batch: pa.Table, last: int | None) -> pa.Table:
    """What may be in a sample that ends with the key ``last``: what falls behind now would fall behind at the end."""
    return batch if last is None else batch.filter(pc.less_equal(batch["key"], pa.scalar(last, pa.uint64())))


def _last_key(held: Sequence[pa.Table], n_bytes: int) -> int | None:
    """The key with which documents in order of key reach ``n_bytes``; None where all together do not."""
    keys = np.concatenate([one["key"].to_numpy() for one in held])
    order = np.argsort(keys)
    reached = np.cumsum(np.concatenate([_text_bytes(one) for one in held])[order], dtype=np.int64)
    return int(keys[order[np.searchsorted(reached, n_bytes)]]) if len(keys) and reached[-1] >= n_bytes else None


def _empty_sample() -> pa.Table:
    fields = [("key", pa.uint64()), ("doc_id", pa.string()), ("domain", pa.string()), ("text", pa.large_string())]
    return pa.schema(fields).empty_table()


def _candidates(parts: Sequence[tuple[Path, pa.Table]], seed: int, domain: str | None = None) -> Iterator[pa.Table]:
    for documents, kept in parts:
        wanted = kept.filter(pc.invert(kept["heldout"]))
        if domain is not None:
            wanted = wanted.filter(pc.equal(wanted["domain"], domain))
        for batch in map(filled, kept_batches(documents, wanted)):
            columns = {name: batch[name] for name in ("doc_id", "domain", "text")}
            yield pa.table({"key": _keys(batch["doc_id"], seed), **columns}, _empty_sample().schema)


def _lowest_keys(sample: pa.Table, n_bytes: int) -> pa.Table:
    """The first documents in order of key that reach ``n_bytes``; the one that crosses the line is whole."""
    order = pc.sort_indices(sample, [("key", "ascending"), ("doc_id", "ascending")])
    sizes = pc.binary_length(sample["text"]).to_numpy()[order.to_numpy()]
    before = np.cumsum(sizes) - sizes
    return sample.take(order[: int(np.searchsorted(before, n_bytes))])


def _cut_last(sample: pa.Table, n_bytes: int) -> pa.Table:
    excess = int(_text_bytes(sample).sum()) - n_bytes
    if excess <= 0:
        return sample
    place, last = sample.schema.get_field_index("text"), sample[-1:]
    cut = last["text"][0].as_py().encode()[:-excess].decode(errors="ignore")
    return pa.concat_tables([sample[:-1], last.set_column(place, "text", pa.array([cut], pa.large_string()))])


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
