"""Text to token ids: MB of text in one CPU second, five published split patterns, against four tokenizers.

All encode the same ten slices of text, each slice once and in turns: a text of a corpus is seen once, so a peer that
remembers whole texts gains nothing. The first slice warms up; the ratio is the median of the other nine pairs. Ids are
compared on every slice. Merges are trained here on a part of the text.

    python bench/tokenizing.py --data DIR [--quick] [--json] [--peers gigatoken tokenizers] [--patterns gpt2]
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import HOUSE, Comparison, options, peak_rss_mb, peer_python, say

PEERS = ("gigatoken", "fastokens", "tiktoken", "tokenizers")
PATTERN_NAMES = ("gpt2", "cl100k", "o200k", "llama3", "qwen")
SLICES, TRAINING_BYTES, VOCABULARY = 10, 6_000_000, 32_000
LINE = Path(HOUSE / "bench" / "peers" / "tokenize_peer.py")


def texts_of(data: Path | None, quick: bool) -> pa.LargeStringArray:
    """Every document in one keyed order; the fields of instructions one after the other."""
    folder = data / "text" if data else HOUSE / "samples"
    columns = [_texts(pq.read_table(path)) for path in sorted(folder.rglob("*.parquet"))]
    texts = pa.concat_arrays([column for column in columns if len(column)])
    order = np.random.default_rng(1).permutation(len(texts))
    return texts.take(pa.array(order[: len(order) // 10 if quick else None]))


def _texts(table: pa.Table) -> pa.LargeStringArray:
    """The text of each row; none where a table holds no texts."""
    names = [["text"], ["instruction", "input", "output"]]
    wanted = next((one for one in names if {*one} <= {*table.column_names}), [])
    if not wanted or not all(pa.types.is_string(table[name].type) for name in wanted):
        return pa.array([], pa.large_string())
    columns = [pc.fill_null(table[name].cast(pa.large_string()), "") for name in wanted]
    return pc.binary_join_element_wise(*columns, pa.scalar("\n", pa.large_string())).combine_chunks()


def tokenizer_files(texts: pa.LargeStringArray, folder: Path, names: list[str]) -> dict[str, tuple[Path, str]]:
    """A tokenizer.json for each pattern, and the pattern."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    from gristmill.tokenizer.patterns import CL100K, GPT2, O200K, QWEN2

    sizes = np.cumsum(pc.binary_length(texts).to_numpy())
    sample = texts[: int(np.searchsorted(sizes, TRAINING_BYTES)) + 1].to_pylist()
    patterns = {"gpt2": GPT2, "cl100k": CL100K, "o200k": O200K, "llama3": CL100K, "qwen": QWEN2}
    found = {}
    for name in names:
        made = Tokenizer(models.BPE(ignore_merges=name == "llama3"))
        made.normalizer = normalizers.NFC() if name == "qwen" else None
        last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=name == "gpt2")
        split = pre_tokenizers.Split(Regex(patterns[name]), "isolated")
        made.pre_tokenizer = last if name == "gpt2" else pre_tokenizers.Sequence([split, last])
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        special = ["<|endoftext|>", "<|pad|>"]
        trainer = trainers.BpeTrainer(
            vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
        made.train_from_iterator(sample, trainer)
        (folder / name).mkdir()
        made.save(str(folder / name / "tokenizer.json"))
        (folder / name / "tokenizer_config.json").write_text('{"additional_special_tokens": []}')
        found[name] = folder / name / "tokenizer.json", patterns[name]
    return found


class Peer:
    """A peer's process, which waits between its turns."""

    def __init__(self, name: str, path: Path, pattern: str, texts: Path, slices: list[tuple[int, int]]):
        command = [peer_python("tokenize"), LINE]
        one = {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | one
        )
        request = {"peer": name, "tokenizer": str(path), "pattern": pattern, "texts": str(texts), "slices": slices}
        self.version = self._asked(json.dumps(request))["version"]

    def encode(self, number: int) -> dict:
        """What it says of one slice."""
        return self._asked(str(number))

    def _asked(self, line: str) -> dict:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            sys.exit(f"the peer ended with {self._process.wait()}")
        return json.loads(answer)


class Ours:
    """This house's encoder, on the same slices."""

    def __init__(self, path: Path, texts: pa.LargeStringArray, slices: list[tuple[int, int]]):
        from gristmill.tokenizer.encoder import CheckedEncoder

        self.encoder, self._texts, self._slices = CheckedEncoder(path), texts, slices
        self.encoder.encode(texts[:64])  # the check at run time, and what is compiled

    def encode(self, number: int) -> dict:
        """As ``Peer.encode``."""
        part = self._texts[slice(*self._slices[number])]
        begin = time.process_time()
        tokens = self.encoder.encode(part)
        seconds = time.process_time() - begin
        digest = hashlib.blake2b(tokens.ids.astype(np.uint32).tobytes(), digest_size=16).hexdigest()
        return {"seconds": seconds, "tokens": len(tokens.ids), "digest": digest}


def compared(name: str, path: Path, pattern: str, texts: pa.LargeStringArray, peers: list[str]) -> Iterator[Comparison]:
    """One line for each peer."""
    borders = np.linspace(0, len(texts), SLICES + 1).astype(int).tolist()
    slices = list(pairwise(borders))
    sizes = [pc.sum(pc.binary_length(texts[slice(*one)])).as_py() for one in slices]
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(pa.table({"text": texts}), Path(folder) / "texts.parquet")
        ours = Ours(path, texts, slices)
        others = {peer: Peer(peer, path, pattern, Path(folder) / "texts.parquet", slices) for peer in peers}
        turns = [(ours.encode(k), {peer: one.encode(k) for peer, one in others.items()}) for k in range(SLICES)]
    speed = median(size / own["seconds"] / 1e6 for size, (own, _) in list(zip(sizes, turns, strict=True))[1:])
    share = speed / memcpy_mb(texts)
    for peer, one in others.items():
        ratio = median(theirs[peer]["seconds"] / own["seconds"] for own, theirs in turns[1:])
        theirs_speed = median(s / t[peer]["seconds"] / 1e6 for s, (_, t) in list(zip(sizes, turns, strict=True))[1:])
        equal = all(theirs[peer]["digest"] == own["digest"] for own, theirs in turns)
        n_tokens = sum(own["tokens"] for own, _ in turns)
        note = (
            f"{ours.encoder.engine}; {sum(sizes) / 1e6:.0f} MB, {sum(sizes) / n_tokens:.2f} bytes per token; "
            f"{100 * share:.2f} % of memcpy; peer's memory {turns[-1][1][peer]['rss_mb']:.0f} MB"
        )
        yield Comparison(
            f"encode, {name}", peer, one.version, "MB/CPU-s", round(speed, 1), round(theirs_speed, 1), round(ratio, 3),
            ">= 1x" if peer == "gigatoken" and name == "gpt2" else "printed", equal, peak_rss_mb(), note,
        )  # fmt: skip


def memcpy_mb(texts: pa.LargeStringArray) -> float:
    """MB copied in a CPU second."""
    source = np.frombuffer(texts.buffers()[2], np.uint8)
    out = np.empty_like(source)
    begin = time.process_time()
    for _ in range(5):
        np.copyto(out, source)
    return 5 * len(source) / max(time.process_time() - begin, 1e-9) / 1e6


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS)
    parser.add_argument("--patterns", nargs="+", choices=PATTERN_NAMES, default=PATTERN_NAMES)
    arguments = parser.parse_args()
    texts = texts_of(arguments.data, arguments.quick)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, (path, pattern) in tokenizer_files(texts, Path(folder), arguments.patterns).items():
            for row in compared(name, path, pattern, texts, arguments.peers):
                say(row, arguments.json)
                wrong += row.peer == "tokenizers" and not row.equal
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
