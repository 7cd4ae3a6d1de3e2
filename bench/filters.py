"""The text engine against datatrove, and its own rates.

    python bench/filters.py [--data DIR] [--quick] [--json]

1. Gopher repetition + Gopher quality + C4 + FineWeb, with datatrove's own tokenizer and with split words: MB of text
   per CPU second. Ours measures every signal and judges by every rule; theirs stops at the first filter that drops.
2. The same verdicts on the same words. Both systems differ in known ways; with those aligned (in datatrove, see
   bench/peers/filters_datatrove.py) no document may be judged differently, and each difference is counted alone.
3. All signals: on mixed text, on Chinese and Japanese, by two threads, against plain Python, and equal to it.
"""

import importlib.util
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.compare import HOUSE, Comparison, cpu_seconds, options, peak_rss_mb, run_peer, say
from gristmill.corpus.schema import CLUSTERS
from gristmill.filters.decide.evidence import KEPT, gather, judge
from gristmill.filters.decide.profiles import PROFILES
from gristmill.filters.decide.rules import Rule
from gristmill.filters.signals.measure import SIGNALS, measure

BATCH_BYTES = 8 << 20
TWIN = HOUSE / "tests" / "filters" / "test_signals.py"
REPETITION = "Gopher table A1"
FINEWEB = PROFILES["fineweb@0.01"].rules
GOPHER = PROFILES["gopher@datatrove"].rules
FILTERS: dict[str, tuple[Rule, ...]] = {
    "repetition": tuple(rule for rule in GOPHER if rule.source == REPETITION),
    "quality": tuple(rule for rule in GOPHER if rule.source != REPETITION),
    "c4": PROFILES["c4"].rules,
    "fineweb": FINEWEB,
}
KNOBS = {  # a known difference: the filters it touches, and its reason
    "lines": (("quality", "c4"), "datatrove ends lines at 10 further characters, we at line feeds alone"),
    "punctuation": (
        ("quality",),
        "a content word: datatrove has a list of punctuation, we ask for letter, digit, mark",
    ),
    "grams": (("repetition",), "datatrove joins n-grams without a gap: 'ab c' is 'a bc'"),
    "citations": (("c4",), "datatrove takes [1] out before it looks at the end of a line"),
    "anywhere": (("c4",), "we count { and lorem ipsum anywhere, datatrove in lines that end well alone"),
    "c4_words": (("c4",), "datatrove's C4 counts white-space words, we every Han and kana character"),
    "lower": (("c4",), "datatrove lowers all of Unicode, we ASCII"),
    "ends": (("fineweb",), "datatrove's FineWeb takes the sentence ends of every script, the paper . ! ? and quotes"),
}


@dataclass(frozen=True, slots=True)
class Input:
    """Texts and their languages; bytes of UTF-8."""

    texts: list[str]
    languages: list[str]

    @property
    def megabytes(self) -> float:
        return sum(len(text.encode()) for text in self.texts) / 1e6

    def spaced(self, megabytes: float) -> "Input":
        """Evenly spaced documents, about so much text."""
        step = max(1, round(self.megabytes / megabytes))
        return Input(self.texts[::step], self.languages[::step])

    def sampled(self, documents: int) -> "Input":
        at = np.unique(np.linspace(0, len(self.texts) - 1, min(documents, len(self.texts))).astype(int))
        return Input([self.texts[i] for i in at], [self.languages[i] for i in at])

    def of(self, *languages: str) -> "Input":
        chosen = [i for i, name in enumerate(self.languages) if name in languages]
        return Input([self.texts[i] for i in chosen], [self.languages[i] for i in chosen])

    def batches(self) -> list[pa.RecordBatch]:
        return list(cut(self.texts))


def load(folder: Path | None) -> Input:
    """Every document with a text of DIR/text/*.parquet, or of the Parquet samples."""
    found = Input([], [])
    paths = (folder / "text").glob("*.parquet") if folder else HOUSE.glob("samples/*/*.parquet")
    for path in sorted(path for path in paths if path.parent.name != "dirty"):  # broken on purpose
        names = pq.read_schema(path).names
        if "text" in names:
            table = pq.read_table(path, columns=["text", *({"lang"} & set(names))])
            found.texts.extend(table["text"].to_pylist())
            found.languages.extend(table["lang"].to_pylist() if "lang" in names else [""] * len(table))
    return found


def cut(texts: list[str]) -> Iterator[pa.RecordBatch]:
    """Record batches of about BATCH_BYTES."""
    first, size = 0, 0
    for at, text in enumerate(texts):
        size += len(text.encode())
        if size >= BATCH_BYTES or at == len(texts) - 1:
            ids = [f"{number:032x}" for number in range(first, at + 1)]
            chosen = pa.array(texts[first : at + 1], pa.large_string())
            yield pa.record_batch({"doc_id": pa.array(ids, pa.string()), "text": chosen})
            first, size = at + 1, 0


def signals_of(batches: list[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches([measure(batch) for batch in batches])


def passes(signals: pa.Table, rules: tuple[Rule, ...]) -> np.ndarray:
    """bool[n_docs]: no rule drops it; every document counts as English, as it does in datatrove's filters."""
    n = len(signals)
    columns = {"source": ["bench"] * n, "domain": ["bench"] * n, "lang_id": ["en"] * n}
    columns |= {"bytes": signals["bytes"].cast(pa.int64()), "part": [0] * n, "row": np.arange(n)}
    documents = pa.table({"doc_id": signals["doc_id"], **columns})
    return judge(gather(documents, signals, CLUSTERS.empty_table(), {}), {"bench": rules}).codes == KEPT


def our_chain(batches: list[pa.RecordBatch]) -> np.ndarray:
    return passes(signals_of(batches), (*GOPHER, *PROFILES["c4"].rules, *FINEWEB))


def compare_chain(given: Input, megabytes: float, words: str, target: float) -> Comparison:
    """Rates of the whole chain; ``words``: "own", or a pattern of the characters that are words."""
    chosen = given.spaced(megabytes)
    batches = chosen.batches()
    our_chain(batches)
    ours, _ = cpu_seconds(lambda: our_chain(batches), 5)
    theirs = ask_datatrove(chosen.texts, words=words, work="chain")
    rates = [chosen.megabytes / seconds for seconds in (ours, theirs["cpu_seconds"])]
    name = "its own tokenizer" if words == "own" else "split words"
    return Comparison(
        work=f"Gopher quality + repetition, C4, FineWeb; {name}",
        peer="datatrove",
        peer_version=theirs["version"],
        unit="MB/CPU-s",
        ours=round(rates[0], 2),
        theirs=round(rates[1], 3),
        ratio=round(rates[0] / rates[1], 1),
        target=f">= {target:g}x",
        equal=None,
        rss_mb=peak_rss_mb(),
        note=f"{chosen.megabytes:.1f} MB in {len(chosen.texts)} documents",
    )


def ask_datatrove(texts: list[str], **request) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.parquet"
        pq.write_table(pa.table({"text": pa.array(texts, pa.large_string())}), path)
        return run_peer("filters", "filters_datatrove.py", {"texts": str(path), **request})


def compare_verdicts(given: Input, documents: int, words: str) -> Iterator[Comparison]:
    """One comparison a filter: all knobs aligned must leave nothing; each knob alone is counted."""
    chosen = given.sampled(documents)
    texts = [text for text in chosen.texts if text.split()]  # datatrove divides by zero without a word
    signals = signals_of(list(cut(texts)))
    readings = [(list(FILTERS), list(KNOBS)), (list(FILTERS), [])]
    readings += [(list(touched), [other for other in KNOBS if other != knob]) for knob, (touched, _) in KNOBS.items()]
    theirs = ask_datatrove(texts, words=words, work="verdicts", readings=readings)
    for name, rules in FILTERS.items():
        ours = passes(signals, rules)
        differ = [int((ours != np.array(found[name])).sum()) if name in found else 0 for found in theirs["passes"]]
        known = [f"{knob} {n}" for knob, n in zip(KNOBS, differ[2:], strict=True) if name in KNOBS[knob][0]]
        yield Comparison(
            work=f"verdicts of {name} on {len(texts)} documents, the same words",
            peer="datatrove",
            peer_version=theirs["version"],
            unit="documents judged differently, known differences aligned",
            ours=differ[0],
            theirs=None,
            ratio=None,
            target="0",
            equal=differ[0] == 0,
            rss_mb=peak_rss_mb(),
            note=f"as datatrove reads: {differ[1]}; by {', '.join(known)}; {int(ours.sum())} pass",
        )


def rate(given: Input, name: str, target: float, repeats: int) -> Comparison:
    """All signals, MB a CPU second."""
    batches, megabytes = given.batches(), given.megabytes
    signals_of(batches[:1])
    seconds, _ = cpu_seconds(lambda: [measure(batch) for batch in batches], repeats)
    return Comparison(
        work=f"all {len(SIGNALS.signals)} signals, {name}, {megabytes:.1f} MB",
        peer="",
        peer_version="",
        unit="MB/CPU-s",
        ours=round(megabytes / seconds, 1),
        theirs=None,
        ratio=None,
        target=f">= {target:g}",
        equal=None,
        rss_mb=peak_rss_mb(),
    )


def two_threads(given: Input) -> Comparison:
    """Wall-clock of one thread and of two over the same batches; CPU seconds tell a busy machine from a lock."""
    batches = given.batches()
    batches = batches * max(1, 8 // len(batches))
    wall, cpu = zip(*(best_times(batches, threads) for threads in (1, 2)), strict=True)
    return Comparison(
        work="all signals, two threads against one",
        peer="one thread",
        peer_version="this tree",
        unit="wall s",
        ours=round(wall[1], 3),
        theirs=round(wall[0], 3),
        ratio=round(wall[0] / wall[1], 2),
        target=">= 1.8x",
        equal=None,
        rss_mb=peak_rss_mb(),
        note=f"CPU s {cpu[0]:.3f} and {cpu[1]:.3f}: a quiet machine would give {2 * cpu[0] / cpu[1]:.2f}x",
    )


def best_times(batches: list[pa.RecordBatch], threads: int) -> tuple[float, float]:
    """Wall and CPU seconds of the fastest of five."""
    times = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            begin = time.perf_counter(), time.process_time()
            list(pool.map(measure, batches))
            times.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
    return min(wall for wall, _ in times), min(cpu for _, cpu in times)


def compare_python(given: Input, documents: int) -> Comparison:
    """Rate against the plain-Python twins of the tests, and every value against theirs."""
    twin = load_twin().twin
    chosen = given.sampled(documents)
    batches = chosen.batches()
    ours, signals = cpu_seconds(lambda: signals_of(batches), 5)
    theirs, expected = cpu_seconds(lambda: [twin(text) for text in chosen.texts], 1)
    rates = [chosen.megabytes / seconds for seconds in (ours, theirs)]
    columns = {name: signals[name].to_numpy() for name in expected[0]}
    worst = {name: np.abs(column - [one[name] for one in expected]).max() for name, column in columns.items()}
    wrong = [name for name, gap in worst.items() if gap > (1e-9 if "entropy" in name else 1e-12)]
    return Comparison(
        work=f"all signals on {len(chosen.texts)} documents, {chosen.megabytes:.1f} MB",
        peer="plain Python twins",
        peer_version=sys.version.split()[0],
        unit="MB/CPU-s",
        ours=round(rates[0], 1),
        theirs=round(rates[1], 3),
        ratio=round(rates[0] / rates[1], 1),
        target=">= 50x",
        equal=not wrong,
        rss_mb=peak_rss_mb(),
        note=f"largest difference {max(worst.values()):.1e}" + (f"; wrong: {', '.join(wrong)}" if wrong else ""),
    )


def load_twin():
    """The test module that holds the twins; it imports nothing of the other tests."""
    spec = importlib.util.spec_from_file_location("signal_twins", TWIN)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    arguments = options(__doc__).parse_args()
    given, quick = load(arguments.data), arguments.quick
    cjk = load_twin().CJK

    def tell(found: Comparison) -> None:
        say(found, arguments.json)

    tell(rate(given.spaced(8) if quick else given, "mixed text", 250, 3))
    tell(rate(given.of("zh", "ja", "zh-cn", "zh_CN", "zh-tw", "zh_TW"), "Chinese and Japanese", 170, 3))
    tell(two_threads(given.spaced(16) if quick else given))
    tell(compare_python(given, 200 if quick else 3000))
    tell(compare_chain(given, 0.4 if quick else 4, "own", 300))
    tell(compare_chain(given, 1 if quick else 12, cjk, 50))
    for found in compare_verdicts(given, 300 if quick else 3000, cjk):
        tell(found)


if __name__ == "__main__":
    main()
