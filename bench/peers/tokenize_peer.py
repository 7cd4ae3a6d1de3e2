"""One peer that encodes slices of a file on request: a line in, a line out, so that the caller can take turns with it.

First line in: {"peer", "tokenizer", "pattern", "texts", "slices"}. Then a number of a slice on each line; out comes CPU
seconds, the number of tokens and a digest of all ids.
"""

import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# how a slice is prepared, encoded, and its ids laid flat
Steps = tuple[Callable[[pa.Array], Any], Callable[[Any], Any], Callable[[Any], np.ndarray]]


def gigatoken(path: str, _pattern: str) -> Steps:
    import awkward as ak
    import gigatoken as gt

    tokenizer = gt.Tokenizer(path)
    return (
        ak.from_arrow,  # the fastest of the three inputs it takes: strings cost a third more
        lambda texts: tokenizer.encode_batch(texts, parallel=False),
        lambda found: ak.to_numpy(ak.flatten(found)),
    )


def lists(found: Sequence[Sequence[int]]) -> np.ndarray:
    return np.concatenate([np.asarray(ids, np.uint32) for ids in found])


def fastokens(path: str, _pattern: str) -> Steps:
    from fastokens import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    return pa.Array.to_pylist, tokenizer.encode_batch, lambda found: lists([one.ids for one in found])


def tokenizers(path: str, _pattern: str) -> Steps:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    return pa.Array.to_pylist, tokenizer.encode_batch_fast, lambda found: lists([one.ids for one in found])


def tiktoken(path: str, pattern: str) -> Steps:
    from tiktoken import Encoding

    config = json.loads(Path(path).read_text(encoding="utf-8"))
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = iter(range(256, 512))
    byte_of = {chr(byte if byte in printable else next(spare)): byte for byte in range(256)}
    special = {token["content"]: token["id"] for token in config["added_tokens"]}
    words = {text: number for text, number in config["model"]["vocab"].items() if text not in special}
    ranks = {bytes(byte_of[one] for one in text): number for text, number in words.items()}
    encoding = Encoding("made", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)
    if config.get("normalizer"):  # form C, which Qwen's own tokenizer over tiktoken asks for text by text too
        return (
            pa.Array.to_pylist,
            lambda texts: [encoding.encode_ordinary(normalize("NFC", one)) for one in texts],
            lists,
        )
    return pa.Array.to_pylist, lambda texts: [encoding.encode_ordinary(one) for one in texts], lists


def main() -> None:
    request = json.loads(sys.stdin.readline())
    name = request["peer"]
    prepare, encode, flat = globals()[name](request["tokenizer"], request["pattern"])
    texts = pq.read_table(request["texts"])["text"].combine_chunks()
    print(json.dumps({"version": version(name)}), flush=True)
    for line in sys.stdin:
        part = texts[slice(*request["slices"][int(line)])]
        made = prepare(part)
        begin = time.process_time()
        found = encode(made)
        seconds = time.process_time() - begin
        ids = np.ascontiguousarray(flat(found), np.uint32)
        digest = hashlib.blake2b(ids, digest_size=16).hexdigest()
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        print(json.dumps({"seconds": seconds, "tokens": len(ids), "digest": digest, "rss_mb": rss}), flush=True)


if __name__ == "__main__":
    main()
