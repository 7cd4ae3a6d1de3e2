"""Hostile text through every kernel that reads text: nothing crashes, no span leaves its document, none is lost.

    python bench/fuzz.py [--seconds 20] [--seed 0] [--bounds] [--guard] [--round N] [--quick] [--json]

--bounds compiles the kernels anew with bounds checks (a minute), which the loads of whole blocks do not have; --guard
ends every text at a page that nobody may read, so that any read beyond it faults. Each round is
made from seed and round number alone: a failure names both, and --round N repeats it. Rounds run in a child process,
so that a kernel that brings it down is seen and named as well.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.compare import HOUSE, Comparison, options, peak_rss_mb, say
from bench.guard import guard_texts

WRITTEN = (
    "中文句子。", "日本語の文章です。", "в и на ", "é", "e\u0301", "a\u0323\u0302\u0301", "\u0301", "กำลังอ่านภาษาไทยอยู่",
    "អក្សរខ្មែរគ្មានដកឃ្លា", "ພາສາລາວ", "မြန်မာစာ", "हिन्दी में ", "العربية ", "עברית ", "한국어 ", "\u1112\u1161\u11ab",
    "İıßﬁǅ", "１２３＠ｘ．ｏｒｇ ", "٠١٢ ", "Ã©â€™", "？！。）」", "“it’s” ", "\U00020000\U0001d400",
    "\U0001f469\u200d\U0001f467", "\U0001f468\U0001f3fd\u200d\U0001f469\u200d\U0001f466", "1\ufe0f\u20e3",
    "\U0001f1e9\U0001f1ea", "\U000e0067", "\u202eabc\u202c", "\u2066x\u2069\u200f\u200e", "\u2028", "\u2029", "\x85",
    "\u3000", "\u00a0", "\u200b", "\u00ad", "\ufeff", "\ufffd", "\uffff", "\U0010ffff",
)  # fmt: skip
PIECES = [
    b"the ", b"of and ", b"To be, or not to be. ", b"word " * 12, b"one two three four five six. " * 3, b"\n", b"\n\n",
    b"\r\n", b"\r", b"\t", b"\x0b\x0c\x1c\x1f", b"\x00", b"...", b"{", b"javascript ", b"lorem ipsum", b"use cookies",
    b"- item\n", b"[1][edit]. ", b"12 likes\n", b"read more...\n", b"-----BEGIN RSA PRIVATE KEY-----\n", b"a@b.org ",
    b"192.168.0.1 ", b"::1 ", b"fe80::1%eth0 ", b"4111 1111 1111 1111 ", b"DE89370400440532013000 ",
    b"+44 20 7946 0958 ", b"AKIAIOSFODNN7EXAMPLE ", b"https://x.y/z?q=1 ", b"Berlin ", b"Marie Curie ", b"x" * 70,
    b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xed\xa0\xbd\xed\xb8\x80", b"\xf4\x90\x80\x80", b"\xcc",
    b"\xe4\xb8", b"\xe0\xb8", b"\xf0\x9f\x98", b"\x80", *(written.encode() for written in WRITTEN),
]  # fmt: skip
DOCUMENTS_A_ROUND = 24


def random_document(draw: np.random.Generator) -> bytes:
    """Bytes: noise, pieces, or pieces with flipped, doubled and lost bytes, about 64-byte blocks."""
    size = int(
        draw.choice([0, 1, 7, 8, 9, 31, 63, 64, 65, 127, 128, 500, 4000, 30_000], p=[0.04] + [0.08] * 11 + [0.05, 0.03])
    )
    kind = draw.integers(4)
    if kind == 0:
        return draw.bytes(size)
    if kind == 1:
        return bytes(draw.choice(np.frombuffer(b"ab .\n", np.uint8), size))
    chosen = draw.choice(len(PIECES), size // 4 + 1)
    document = bytearray(b"".join(PIECES[at] for at in chosen)[: max(size, 1)])
    for _ in range(int(draw.integers(4)) if kind == 3 else 0):
        at = int(draw.integers(len(document) or 1))
        document[at : at + 1] = bytes(draw.choice(256, int(draw.integers(3))).astype(np.uint8))
    return bytes(document)


def raw_batch(documents: list[bytes]) -> pa.RecordBatch:
    """Documents as large_string, whatever their bytes; behind them lies no padding."""
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in documents])]).astype(np.int64)
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(documents))]
    text = pa.Array.from_buffers(pa.large_string(), len(documents), buffers)
    ids = pa.array([f"{number:032x}" for number in range(len(documents))])
    return pa.record_batch({"doc_id": ids, "text": text})


def check_utf8(documents: list[bytes], _: list[bytes]) -> None:
    """The same verdict as Python's decoder; and bad text is refused, not measured."""
    from gristmill.corpus.errors import SourceError
    from gristmill.corpus.text._kernels import first_invalid_utf8
    from gristmill.corpus.text.columns import text_column
    from gristmill.filters.signals.measure import measure

    bad = [number for number, one in enumerate(documents) if not is_utf8(one)]
    assert first_invalid_utf8(*text_column(raw_batch(documents))) == (bad[0] if bad else -1)
    try:
        measure(raw_batch(documents))
        assert not bad
    except SourceError:
        assert bad


def is_utf8(document: bytes) -> bool:
    try:
        document.decode()
    except UnicodeDecodeError:
        return False
    return True


def check_signals(_: list[bytes], documents: list[bytes]) -> None:
    """A row a document, all numbers finite, the same from a slice; and decide conserves them."""
    from gristmill.filters.signals.measure import measure

    batch = raw_batch(documents)
    signals = measure(batch)
    assert signals.num_rows == len(documents)
    assert all(np.isfinite(column.to_numpy()).all() for column in signals.columns[1:])
    middle = len(documents) // 2
    assert measure(batch.slice(middle)).equals(signals.slice(middle))
    decide_all(pa.Table.from_batches([signals]))


def decide_all(signals: pa.Table) -> None:
    """decide raises when a document or byte is lost."""
    from gristmill.corpus.schema import CLUSTERS
    from gristmill.filters.decide.profiles import PROFILES
    from gristmill.filters.decide.rules import resolve
    from gristmill.filters.decide.verdicts import decide

    n = len(signals)
    columns = {"source": ["s"] * n, "domain": ["d"] * n, "lang_id": pa.nulls(n, pa.string())}
    columns |= {
        "bytes": signals["bytes"].cast(pa.int64()),
        "part": pa.array(np.zeros(n, np.int32)),
        "row": np.arange(n),
    }
    documents = pa.table({"doc_id": signals["doc_id"], **columns})
    rules = {"d": resolve(["gopher@datatrove", "c4", "fineweb@0.01", "entropy@residual"], {}, PROFILES, ())}
    decision = decide(documents, signals, CLUSTERS.empty_table(), rules, priorities={}, heldout=0.1, seed=1)
    assert decision.accounts["s"].documents_in == n
    assert len(set(decision.ledger["doc_id"].to_pylist())) == n


def check_minhash(_: list[bytes], documents: list[bytes]) -> None:
    """Equal texts have equal signatures."""
    from gristmill.dedup.clusters.minhash import measure

    counts, signatures = measure(raw_batch([*documents, *documents]), shingle_words=5, hashes=32, seed=1)
    assert (counts[: len(documents)] == counts[len(documents) :]).all()
    assert (signatures[: len(documents)] == signatures[len(documents) :]).all()


def check_mentions(_: list[bytes], documents: list[bytes]) -> None:
    """Spans lie in their documents and between characters."""
    from gristmill.corpus.text.columns import text_column
    from gristmill.knowledge.graph import load_graph
    from gristmill.knowledge.linking import find_mentions

    found = find_mentions(text_column(raw_batch(documents)), load_graph(HOUSE / "samples" / "knowledge"))
    check_spans(documents, zip(found.docs, found.starts, found.ends, strict=True))


def check_pii(_: list[bytes], documents: list[bytes]) -> None:
    """The same of personal data."""
    from gristmill.filters.pii.scan import find

    check_spans(documents, (found[:3] for found in find(raw_batch(documents))))


def check_spans(documents: list[bytes], spans) -> None:
    for document, start, stop in spans:
        assert 0 <= start < stop <= len(documents[document]), (document, start, stop)
        documents[document][start:stop].decode()


def check_edits(_: list[bytes], documents: list[bytes]) -> None:
    """The same of what line edits cut, and no two spans of a document overlap."""
    from gristmill.filters.line_edits.find_edits import READINGS, find_edits

    for reading in READINGS:
        spans = find_edits(raw_batch(documents), reading)[0]
        check_spans(documents, spans[:, :3].tolist())
        same = spans[1:, 0] == spans[:-1, 0]
        assert (np.diff(spans[:, 0]) >= 0).all()
        assert (spans[1:, 1] >= spans[:-1, 2])[same].all()


def check_passages(_: list[bytes], documents: list[bytes]) -> None:
    """A document is found in itself, and in itself between others, unless it is too short to look for."""
    from gristmill.filters.lists.decontaminate import score
    from gristmill.filters.lists.evaluation_sets import load_passages

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.parquet"
        pq.write_table(pa.table({"text": raw_batch(documents)["text"]}), path)
        passages = load_passages((("fuzz", (path,)),))
    longer = [b"before it " + one + b" behind it" for one in documents]
    best = score(raw_batch([*documents, *longer]), passages, 0.5)[0]["contamination"].to_numpy()
    wanted = np.tile(passages.totals > 0, 2)
    assert (best[wanted] > 1 - 1e-6).all()


def check_tokens(_: list[bytes], documents: list[bytes]) -> None:
    """The kernel's ids equal those of the tokenizers library."""
    kernel, reference = encoders()
    texts = raw_batch(documents)["text"]
    for ours, theirs in zip(kernel.encode(texts), reference.encode(texts), strict=True):
        assert np.array_equal(ours, theirs)


def encoders() -> tuple:
    """A vocabulary of 400 tokens, trained on the pieces once."""
    from tokenizers import trainers

    from gristmill.tokenizer._kernels_patterns import OURS
    from gristmill.tokenizer.kernel_encoder import KernelEncoder
    from gristmill.tokenizer.reference_encoder import ReferenceEncoder
    from gristmill.tokenizer.text_tokenizer import TextTokenizer
    from gristmill.tokenizer.vocabulary import byte_symbols, empty_tokenizer

    if not _ENCODERS:
        made = empty_tokenizer()
        special = ["<|endoftext|>", "<|pad|>"]
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=special, initial_alphabet=byte_symbols(), show_progress=False
        )
        made.train_from_iterator([piece.decode("utf-8", "ignore") for piece in PIECES] * 2, trainer)
        with tempfile.TemporaryDirectory() as folder:
            made.save(f"{folder}/tokenizer.json")
            text = TextTokenizer(Path(folder) / "tokenizer.json")
        _ENCODERS.extend([KernelEncoder(text, OURS), ReferenceEncoder(text)])
    return tuple(_ENCODERS)


_ENCODERS: list = []


def check_reader(documents: list[bytes], clean: list[bytes]) -> None:
    """Every line of a JSONL file is a document, a reject or skipped."""
    import json

    from gristmill.sources.listing import list_files
    from gristmill.sources.read import read_part
    from gristmill.sources.spec import ReadSpec

    lines = [one.replace(b"\n", b" ") for one in documents]
    lines += [json.dumps({"text": one.decode()}).encode() for one in clean]
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "in.jsonl", Path(folder) / "out"
        path.write_bytes(b"\n".join(lines))
        out.mkdir()
        outcome = read_part(list_files([str(path)], "jsonl", source="fuzz"), ReadSpec(name="fuzz", domain="fuzz"), out)
    account = outcome.accounts["fuzz"]
    assert account.balanced
    assert account.documents_in >= len(clean)
    assert outcome.rows == account.documents_kept


def check_chain(documents: list[bytes], clean: list[bytes]) -> None:
    """From a file to the ledger: every stage has a row a document, and every document one verdict."""
    import json

    lines = [one.replace(b"\n", b" ") for one in documents]
    lines += [json.dumps({"text": one.decode()}).encode() for one in clean]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in.jsonl").write_bytes(b"\n".join(lines))
        (folder / "words.txt").write_text("lorem ipsum\n中文\n", encoding="utf-8")
        (folder / "urls.txt").write_text("x.y\n")
        n_read = run_stages(folder)
        columns = [pq.read_table(path) for path in sorted(folder.glob("*.parquet")) if path.name not in NOT_SIGNALS]
    assert len(columns) == 6
    assert all(len(table) == n_read for table in columns)
    by_name = {name: table[name] for table in columns for name in table.column_names}
    assert all(np.isfinite(one.to_numpy()).all() for one in by_name.values() if pa.types.is_floating(one.type))
    decide_all(pa.table(by_name))


def run_stages(folder: Path) -> int:
    """Every stage of the filters on folder/in.jsonl, each into a file of the folder; returns the documents read."""
    from gristmill.corpus.measuring import measure_part
    from gristmill.filters.lists.stage import BLOCKLIST, Blocklist
    from gristmill.filters.models.reference import fit_reference
    from gristmill.filters.models.stage import COMPRESSION, LANGUAGE, REFERENCE, Compression, Language, Reference
    from gristmill.filters.pii.stage import PII, Pii
    from gristmill.filters.signals.stage import SIGNALS
    from gristmill.sources.listing import list_files
    from gristmill.sources.read import read_part
    from gristmill.sources.spec import ReadSpec

    files = list_files([str(folder / "in.jsonl")], "jsonl", source="fuzz")
    account = read_part(files, ReadSpec(name="fuzz", domain="fuzz"), folder)
    documents = folder / "documents.parquet"
    pq.write_table(pa.table({"text": ["To be, or not to be."] * 2}), folder / "texts.parquet")
    fit_reference(folder, texts=[folder / "texts.parquet"])
    masks = Pii(**dict.fromkeys(("email", "ipv4", "ipv6", "card", "iban", "phone"), "mask"))
    lists = {"words": [folder / "words.txt"], "urls": [folder / "urls.txt"]}
    model = {"model": [HOUSE / "samples" / "models" / "lid.176.ftz"]}
    for outcome in (
        measure_part(SIGNALS, documents, folder),
        measure_part(LANGUAGE, documents, folder, Language(), model),
        measure_part(PII, documents, folder, masks),
        measure_part(BLOCKLIST, documents, folder, Blocklist(), lists),
        measure_part(COMPRESSION, documents, folder, Compression()),
        measure_part(REFERENCE, documents, folder, Reference(name="fuzz"), {"model": [folder / "reference.parquet"]}),
    ):
        assert outcome.rows == account.rows
        assert outcome.accounts.get("fuzz", account.accounts["fuzz"]).documents_kept == account.rows
    return account.rows


NOT_SIGNALS = ("spans.parquet", "documents.parquet", "rejects.parquet", "texts.parquet", "reference.parquet")
CHECKS: tuple[Callable[[list[bytes], list[bytes]], None], ...] = (
    check_utf8, check_signals, check_minhash, check_mentions, check_pii, check_edits, check_passages, check_tokens,
    check_reader, check_chain,
)  # fmt: skip


def run_round(seed: int, number: int) -> int:
    """One round of every check; returns the bytes that went in."""
    draw = np.random.default_rng([seed, number])
    documents = [random_document(draw) for _ in range(DOCUMENTS_A_ROUND)]
    clean = [one if is_utf8(one) else one.decode("utf-8", "replace").encode() for one in documents]
    for check in CHECKS:
        print(f"{number} {check.__name__}", flush=True)
        check(documents, clean)
    return sum(map(len, documents))


def fuzz(arguments: argparse.Namespace) -> None:
    """The child: rounds until the time is over, each told on standard output before it begins."""
    if arguments.guard:
        guard_texts()
    if arguments.round is not None:
        run_round(arguments.seed, arguments.round)
        return
    run_round(arguments.seed, 0)  # kernels compile before the clock starts
    end, number, size = time.monotonic() + arguments.seconds, 0, 0
    while time.monotonic() < end:
        number += 1
        size += run_round(arguments.seed, number)
    print(f"done {number} {size} {peak_rss_mb()}", flush=True)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--round", type=int)
    parser.add_argument("--bounds", action="store_true", help="with numba's bounds checks")
    parser.add_argument("--guard", action="store_true", help="texts end at a page that cannot be read")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.seconds = 5 if arguments.quick else arguments.seconds
    if arguments.inside or arguments.round is not None:
        fuzz(arguments)
    else:
        say(watch(arguments), arguments.json)


def watch(arguments: argparse.Namespace) -> Comparison:
    """Run the child and read how far it came."""
    command = [sys.executable, "-X", "faulthandler", __file__, "--inside"]
    command += ["--seconds", str(arguments.seconds), "--seed", str(arguments.seed)]
    command += ["--guard"] if arguments.guard else []
    with tempfile.TemporaryDirectory() as cache:
        checked = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": cache} if arguments.bounds else {}
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **checked})
        last = ""
        for line in child.stdout or ():
            last = line.strip()
        status = child.wait()
    if status or not last.startswith("done "):
        number, check = last.split() if " " in last else ("?", last)
        sys.exit(f"{check} failed in round {number}: repeat with --seed {arguments.seed} --round {number}")
    rounds, size, rss_mb = last.split()[1:]
    return Comparison(
        work=f"fuzz, {len(CHECKS)} checks{', bounds checked' if arguments.bounds else ''}"
        f"{', guard pages' if arguments.guard else ''}",
        peer="",
        peer_version="",
        unit="documents",
        ours=int(rounds) * DOCUMENTS_A_ROUND,
        theirs=None,
        ratio=None,
        target="no crash, none lost",
        equal=True,
        rss_mb=float(rss_mb),
        note=f"{int(size) / 1e6:.1f} MB, seed {arguments.seed}",
    )


if __name__ == "__main__":
    main()
