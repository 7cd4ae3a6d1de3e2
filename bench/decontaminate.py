"""Decontamination: passages found after edits, false finds in clean documents, and the rate against `decontaminate`.

    python bench/decontaminate.py [--data DIR] [--quick] [--json]

1. Passages of 8 to 200 words (Han characters; four Thai characters) are edited and put into clean documents: one word
   in 15 with a typo, an advertisement of 25 words in the middle, the first half alone, capitals without punctuation in
   full width forms. Recall by edit and by length, with the interval of Wilson at 95 %.
2. Clean documents of other collections against all passages: finds, each one false.
3. `decontaminate` (PyPI) on the same planted and clean documents. It needs Python 3.12, so its environment is made by
   hand: `python3.12 -m venv .bench/decontaminate`, then `.bench/decontaminate/bin/pip install -r
   bench/peers/decontaminate.txt`; or DECONTAMINATE_PYTHON names one that has it.

With DIR: passages from xquad, PUD and GSM8K, documents of the other collections there. Without: passages of
samples/reference and samples/docs in the other texts of samples/.
"""

import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unicodedata import category

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

import pyarrow as pa
import pyarrow.parquet as pq

from bench.compare import HOUSE, Comparison, cpu_seconds, options, peak_rss_mb, say
from gristmill.filters.lists.decontaminate import score
from gristmill.filters.lists.evaluation_sets import Passages, load_passages

SAMPLES = HOUSE / "samples"
PEER = HOUSE / "bench" / "peers" / "decontaminate_scan.py"
SEED = 20261130
HAN, THAI = re.compile(r"[\u3041-\u30ff\u3400-\u9fff]"), re.compile(r"[\u0e00-\u0e7f]")
UNITS = {
    True: re.compile(
        r"[\u0e00-\u0e7f]{1,4}|[\u3041-\u30ff\u3400-\u9fff]|[^\s\u0e00-\u0e7f\u3041-\u30ff\u3400-\u9fff]+|\s+"
    )
}
ADVERT = (
    "Subscribe now and save thirty percent on all of our summer shoes with free delivery to your door until midnight "
    "this Friday while stocks last everywhere"
)
LENGTHS = ((8, 15), (16, 25), (26, 200))
THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Planted:
    """A passage, an edit of it, and the document it was put into."""

    passage: int
    words: int
    script: str
    edit: str
    text: str


# ------------------------------------------------------------------------------------------------ texts


def pieces(text: str) -> list[str]:
    """Words with the white space behind them; Han characters and runs of four Thai ones are words."""
    found = UNITS[True].findall(text)
    joined: list[str] = []
    for piece in found:
        if piece.isspace() and joined:
            joined[-1] += piece
        elif re.search(r"\w", piece) or not joined:
            joined.append(piece)
        else:
            joined[-1] += piece  # punctuation
    return joined


def script_of(text: str) -> str:
    """han, thai or spaced."""
    for name, pattern in (("han", HAN), ("thai", THAI)):
        if len(pattern.findall(text)) > len(text) / 4:
            return name
    return "spaced"


def typo(word: str, draw: random.Random) -> str:
    """Two letters exchanged, one lost or doubled; another character for a single one."""
    core = word.strip()
    if len(core) < 2:
        return word.replace(core, chr(draw.randrange(0x4E00, 0x9000)))
    at = draw.randrange(len(core) - 1)
    changed = draw.choice(
        (
            core[:at] + core[at + 1] + core[at] + core[at + 2 :],
            core[:at] + core[at + 1 :],
            core[:at] + core[at] * 2 + core[at + 1 :],
        )
    )
    return word.replace(core, changed if changed != core else core[0] * 2 + core[1:])


def with_typos(words: list[str], draw: random.Random) -> list[str]:
    """One word in fifteen, at least one."""
    out = list(words)
    for begin in range(0, max(len(words) - 14, 1), 15):
        at = draw.randrange(begin, min(begin + 15, len(words)))
        out[at] = typo(out[at], draw)
    return out


def shouted(words: list[str]) -> list[str]:
    """Capitals, full width, no punctuation, two blanks."""
    text = "".join(" " if category(one)[0] in "PS" else one for one in "".join(words)).upper()
    wide = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
    return [re.sub(r" ", "  ", text).translate(wide)]


EDITS: dict[str, Callable[[list[str], random.Random], list[str]]] = {
    "as it is": lambda words, _: words,
    "a typo in 15 words": with_typos,
    "an advertisement in the middle": lambda words, _: [
        *words[: len(words) // 2],
        f" {ADVERT} ",
        *words[len(words) // 2 :],
    ],
    "the first half": lambda words, _: words[: len(words) // 2],
    "capitals, full width": lambda words, _: shouted(words),
}


def passages_from(texts: Sequence[str], count: int, draw: random.Random) -> list[list[str]]:
    """Windows of 8 to 200 words, lengths evenly on a logarithmic scale."""
    out, seen = [], set()
    for _ in range(20 * count):
        words = pieces(draw.choice(texts))
        length = min(round(math.exp(draw.uniform(math.log(8), math.log(200.4)))), len(words))
        at = draw.randrange(len(words) - length + 1)
        window = words[at : at + length]
        if length >= 8 and "".join(window) not in seen:
            seen.add("".join(window))
            out.append(window)
        if len(out) == count:
            break
    return out


def read(path: Path, wanted: Callable[[dict], bool], columns: tuple[str, ...] = ("text", "source")) -> list[str]:
    """Texts of one file."""
    return [row["text"] for row in pq.read_table(path, columns=list(columns)).to_pylist() if wanted(row)]


def corpus(data: Path | None) -> tuple[list[str], list[str]]:
    """(texts to take passages from, clean documents), of different collections."""
    if data is None:
        sources = [SAMPLES / "reference", SAMPLES / "docs", SAMPLES / "legal"]
        texts = [
            [t for path in sorted(folder.glob("*.parquet")) for t in read(path, lambda _: True, ("text",))]
            for folder in sources
        ]
        return texts[0], texts[1] + texts[2]
    text = data / "text"
    benchmark = read(text / "wiki.parquet", lambda row: row["source"] in ("xquad", "ud-pud"))
    benchmark += [
        t.split("\nAnswer:")[0].removeprefix("Question: ")
        for t in read(text / "math.parquet", lambda row: row["source"] == "gsm8k")
    ][:1500]
    clean = read(text / "wiki.parquet", lambda row: row["source"] == "codex-type-extracts")
    for name in ("books", "docs", "forum", "legal", "code", "news"):
        clean += read(text / f"{name}.parquet", lambda row: row["source"] not in ("ud-pud",))
    return benchmark, clean


def planted_in(passages: list[list[str]], documents: list[str], draw: random.Random) -> Iterator[Planted]:
    """Every passage under every edit, each in the middle of a document."""
    for number, words in enumerate(passages):
        script = script_of("".join(words))
        for name, edit in EDITS.items():
            text = "".join(edit(words, draw)).strip()
            around = draw.choice(documents)
            blank = around.find(" ", min(len(around) // 2, 2000))
            at = blank if blank >= 0 else len(around)
            yield Planted(number, len(words), script, name, f"{around[:at]}\n{text}\n{around[at:]}")


def batches(texts: Sequence[str], size: int = 1000) -> Iterator[pa.RecordBatch]:
    """doc_id and text."""
    for begin in range(0, len(texts), size):
        some = texts[begin : begin + size]
        ids = [str(begin + k) for k in range(len(some))]
        yield pa.record_batch({"doc_id": ids, "text": pa.array(some, pa.large_string())})


def found_by(texts: Sequence[str], index: Passages) -> dict[int, set[int]]:
    """Passages of each document."""
    found = defaultdict(set)
    for batch in batches(texts):
        pairs = score(batch, index, THRESHOLD)[1]
        for document, passage in zip(pairs["doc_id"].to_pylist(), pairs["passage"].to_pylist(), strict=True):
            found[int(document)].add(passage)
    return found


def interval(hits: int, n: int) -> str:
    """Share with the interval of Wilson at 95 %."""
    if not n:
        return "none"
    z2, share = 1.96**2, hits / n
    middle, half = share + z2 / (2 * n), 1.96 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return f"{share:.4g} [{max(0.0, middle - half) / (1 + z2 / n):.4g}, {(middle + half) / (1 + z2 / n):.4g}] of {n}"


def recall_of(
    planted: list[Planted], found: dict[int, set[int]], edit: str
) -> tuple[float, list[tuple[Planted, bool]]]:
    """Recall of an edit over passages of 8 to 200 words, every length alike; and each passage with its answer."""
    of_edit = [(one, one.passage in found[n]) for n, one in enumerate(planted) if one.edit == edit]
    all_lengths, recall = LENGTHS[-1][1] + 1 - LENGTHS[0][0], 0.0
    for first, last in LENGTHS:
        hits = [hit for one, hit in of_edit if first <= one.words <= last]
        recall += (last + 1 - first) / all_lengths * sum(hits) / max(len(hits), 1)
    return recall, of_edit


def recalls(planted: list[Planted], found: dict[int, set[int]]) -> Iterator[Comparison]:
    """By edit, and by class of length and script."""
    for edit in EDITS:
        recall, of_edit = recall_of(planted, found, edit)
        notes = []
        for first, last in LENGTHS:
            hits = [hit for one, hit in of_edit if first <= one.words <= last]
            notes.append(f"{first}-{last} words {interval(sum(hits), len(hits))}")
        for script in ("spaced", "han", "thai"):
            hits = [hit for one, hit in of_edit if one.script == script]
            notes += [f"{script} {interval(sum(hits), len(hits))}"] if hits else []
        yield Comparison(f"decontamination, {edit}", "passages put into clean documents", "",
                         "recall, lengths 8 to 200 alike", recall, None, None, ">= 0.95", None, peak_rss_mb(),
                         "; ".join(notes))  # fmt: skip


def false_finds(clean: list[str], passages: list[list[str]], index: Passages) -> Comparison:
    """Clean documents that hold a passage after all: every find is false."""
    false = found_by(clean, index)
    note = f"{interval(len(false), len(clean))} documents, {len(passages)} passages"
    if os.environ.get("GRISTMILL_BENCH_SHOW"):
        for document, found in false.items():
            print(document, [passages[one] for one in found], file=sys.stderr)
    return Comparison("decontamination, clean documents", "other collections", "", "documents with a find per 10,000",
                      len(false) / len(clean) * 10_000, None, None, "<= 1", None, peak_rss_mb(), note)  # fmt: skip


def words_in_a_row(clean: list[str], passages: list[list[str]], folder: Path) -> Comparison:
    """Clean documents that hold four words or more in a row of a passage of 8 to 15."""
    short = folder / "short.jsonl"
    texts = ["".join(passage) for passage in passages if len(passage) <= LENGTHS[0][1]]
    short.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    index, most = load_passages((("short", (short,)),), short_ngram=5), [0] * len(clean)
    for batch in batches(clean):
        pairs = score(batch, index, THRESHOLD)[1]
        for document, words in zip(pairs["doc_id"].to_pylist(), pairs["words"].to_pylist(), strict=True):
            most[int(document)] = max(most[int(document)], words)
    counts = "; ".join(f"{n} words {interval(sum(one >= n for one in most), len(most))}" for n in (4, 5, 6, 7))
    four, note = sum(one >= 4 for one in most) / len(most) * 10_000, f"{len(texts)} passages of 8 to 15 words; {counts}"
    return Comparison("words in a row of a short passage", "clean documents", "", "documents per 10,000, four words",
                      four, None, None, "", None, peak_rss_mb(), note)  # fmt: skip


def against_the_peer(folder: Path, planted: list[Planted], clean: list[str], index: Passages) -> Iterator[Comparison]:
    """The rate on planted and clean documents together, and what either finds."""
    python = Path(os.environ.get("DECONTAMINATE_PYTHON", HOUSE / ".bench" / "decontaminate" / "bin" / "python"))
    if not python.exists():
        print(f"decontaminate is left out: no {python}; see {PEER.name}", file=sys.stderr)
        return
    texts = [*(one.text for one in planted), *clean]
    (folder / "documents").mkdir()
    with (folder / "documents" / "all.jsonl").open("w") as out:
        out.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    done = subprocess.run(
        [python, PEER], input=json.dumps({"folder": str(folder)}), text=True, capture_output=True, check=True
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    theirs = defaultdict(set)
    for document, passage in answer["found"]:
        theirs[document].add(passage)
    seconds, ours = cpu_seconds(partial(found_by, texts, index), 2)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    notes = [
        f"{edit}: recall {recall_of(planted, ours, edit)[0]:.3f}, theirs {recall_of(planted, theirs, edit)[0]:.3f}"
        for edit in EDITS
    ]
    false = [sum(1 for document, found in one.items() if found and document >= len(planted)) for one in (ours, theirs)]
    notes.append(f"clean documents with a find: {false[0]}, theirs {false[1]}")
    rates = megabytes / seconds, megabytes / answer["seconds"]
    yield Comparison("decontamination scan", "decontaminate", answer["version"], "MB/CPU s", *rates,
                     rates[0] / rates[1], "3x", None, peak_rss_mb(), "; ".join(notes))  # fmt: skip


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--passages", type=int, default=3000)
    given = parser.parse_args()
    draw = random.Random(SEED)
    texts, clean = corpus(given.data)
    draw.shuffle(clean)
    n_clean, n_passages = (1000, 300) if given.quick else (10_000, given.passages)
    hosts, clean = clean[: len(clean) // 3][:4000], clean[len(clean) // 3 :][:n_clean]
    passages = passages_from(texts, n_passages, draw)
    with tempfile.TemporaryDirectory() as folder:
        sets = Path(folder) / "evals" / "passages.jsonl"
        sets.parent.mkdir()
        sets.write_text("".join(json.dumps({"id": str(n), "text": "".join(p)}) + "\n" for n, p in enumerate(passages)))
        index = load_passages((("passages", (sets,)),))
        planted = list(planted_in(passages, [host[:4000] for host in hosts], draw))
        found = found_by([one.text for one in planted], index)
        limits = words_in_a_row(clean, passages, Path(folder))
        for one in (*recalls(planted, found), false_finds(clean, passages, index), limits):
            say(one, given.json)
        for one in against_the_peer(Path(folder), planted, clean, index):
            say(one, given.json)


if __name__ == "__main__":
    main()
