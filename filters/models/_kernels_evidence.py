"""Every count that the entropy score is made from, for each document of a batch."""

from gristmill.corpus.text._kernels_jit import kernel
from gristmill.filters.models._kernels_known import (
    FREQUENT,
    LANGUAGE,
    N_FOUND,
    charge_characters,
    charge_pairs,
    classify_tokens,
    list_tokens,
)
from gristmill.filters.models._kernels_marks import N_COUNTS, count_layout, read_document
from gristmill.filters.models._kernels_repeats import count_repeats, mutual_bits

LOOKED, REPEATED = N_COUNTS + N_FOUND, N_COUNTS + N_FOUND + 1
N_EVIDENCE = REPEATED + 1


@kernel
def gather(
    offsets,
    data,
    characters,
    characters_shift,
    tokens,
    tokens_shift,
    totals,
    gains,
    symbols,
    kinds,
    hashes,
    entries,
    keys,
    logs,
    votes,
    slots,
    joint,
    ones,
    out,
    bits,
):
    """Out int64[n_docs, N_EVIDENCE], bits double[n_docs]: mutual bits. keys uint64[3, n], logs int64[n]."""
    for doc in range(offsets.size - 1):
        n = read_document(data, offsets[doc], offsets[doc + 1], symbols, kinds)
        row = out[doc]
        count_layout(symbols, kinds, n, row[:N_COUNTS])
        found = row[N_COUNTS : N_COUNTS + N_FOUND]
        charge_characters(symbols, kinds, n, characters, characters_shift, hashes, entries, found, votes)
        language = found[LANGUAGE]
        count = list_tokens(symbols, kinds, n, language, keys[0], keys[1])
        found[FREQUENT] = classify_tokens(keys[0], keys[1], count, tokens, tokens_shift, keys[2], logs)
        charge_pairs(keys[2], logs, count, totals[language], tokens, tokens_shift, gains, found)
        generation = 1 + doc % 65535
        if generation == 1:
            slots[:] = 0
        looked, seen = count_repeats(symbols, n, slots, generation)
        row[LOOKED], row[REPEATED] = looked, seen
        bits[doc] = mutual_bits(symbols, n, joint, ones)
