"""Decontamination: against lists of words in plain Python, and on the planted sentences of samples/eval."""

import gzip
import io
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from unicodedata import normalize

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.corpus.account import check_conservation
from gristmill.corpus.errors import RecipeError, SchemaError, SourceError
from gristmill.corpus.measuring import measure_part
from gristmill.corpus.recipe_file import check_tables
from gristmill.corpus.schema import signals_schema
from gristmill.corpus.tables import read_part, write_part
from gristmill.corpus.text.columns import text_column
from gristmill.filters.lists import decontaminate
from gristmill.filters.lists.evaluation_sets import load_passages
from gristmill.filters.lists.stage import CONTAMINATION, BenchmarkFacts, Decontaminate
from gristmill.filters.models import _kernels_known as known
from gristmill.filters.models import _kernels_marks as marks
from gristmill.filters.models.entropy_score import gather, tables

SAMPLES = Path(__file__).parents[2] / "samples"


def screen(documents, folder, sets):
    """Measure a part against evaluation sets given as paths."""
    named = {name: tuple(str(path) for path in paths) for name, paths in sets.items()}
    return measure_part(CONTAMINATION, documents, folder, Decontaminate(sets=named), sets)


# ------------------------------------------------------------------------------------------------ the twin


def grams(words: list[str], width: int) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + width]) for at in range(len(words) - width + 1)]


def in_a_row(passage: list[str], document: list[str], standing: set[tuple[str, ...]]) -> int:
    """Most words of the passage in a row whose 5-grams are no standing ones."""
    longest = 0
    for at in range(len(passage)):
        for start in range(len(document)):
            n = 0
            while at + n < len(passage) and start + n < len(document) and passage[at + n] == document[start + n]:
                n += 1
                longest = max(
                    longest, n if n > 4 and tuple(passage[at + n - 5 : at + n]) not in standing else min(n, 4)
                )
                if n > 4 and tuple(passage[at + n - 5 : at + n]) in standing:
                    break
    return longest


def is_near(passage: list[str], document: list[str]) -> bool:
    """All words but one, or all in two pieces of four or more with up to 64 words between."""
    n, starts = len(passage), range(len(document))
    whole = any(
        sum(a != b for a, b in zip(passage, document[at : at + n], strict=False)) <= 1
        for at in starts
        if at + n <= len(document)
    )
    return whole or any(
        document[at : at + k] == passage[:k] and document[at + k + gap : at + n + gap] == passage[k:]
        for k in range(4, n - 3)
        for at in starts
        for gap in range(1, 65)
    )


def naive_costs(passage: list[str]) -> list[float]:
    """Bits of the characters of the first 0, 1, 2 ... words."""
    texts = [" ".join(passage[:n]) for n in range(len(passage) + 1)]
    counts, _ = gather(text_column(pa.table({"text": pa.array(texts, pa.large_string())})), tables())
    return (counts[:, marks.N_COUNTS + known.BITS] / known.COST_UNITS).tolist()


def holds_rare_words(passage: list[str], document: list[str], standing: set, frames: set) -> bool:
    """Four words or more in a row that cost 90 bits together, the last four of them in few passages."""
    costs = naive_costs(passage)
    for at in range(len(passage)):
        for start in range(len(document)):
            if at and start and passage[at - 1] == document[start - 1]:
                continue
            n = run = 0
            while at + n < len(passage) and start + n < len(document) and passage[at + n] == document[start + n]:
                n += 1
                end = at + n
                run = 4 if n == 4 or tuple(passage[end - 5 : end]) in standing else run + 1
                is_frame = tuple(passage[end - 4 : end]) in frames
                if n >= 4 and not is_frame and costs[end] - costs[end - run] >= 90:
                    return True
    return False


def twin(document: str, passages: list[str], ngram: int, short: int) -> dict[int, tuple[float, int, bool]]:
    """(share, words in a row, found) of each passage that has a share or a find; texts of words between blanks."""
    held, split = document.lower().split(), [passage.lower().split() for passage in passages]
    sharing = Counter(gram for passage in split for gram in set(grams(passage, 5)))
    standing = {gram for gram, n in sharing.items() if n > max(10, len(passages) // 100)}
    fours = Counter(gram for passage in split for gram in set(grams(passage, 4)))
    frames = {gram for gram, n in fours.items() if n > max(10, len(passages) // 100)}
    out = {}
    for number, passage in enumerate(split):
        if len(passage) <= short:
            continue
        weights = [math.log1p(len(passages) / sharing[gram]) for gram in grams(passage, 5)]
        mine = set(grams(held, 5))
        share = sum(w for w, gram in zip(weights, grams(passage, 5), strict=True) if gram in mine) / sum(weights)
        row = in_a_row(passage, held, standing)
        is_short = 8 <= len(passage) <= 15
        found = share >= 0.5 or row >= (short - 1 if is_short else min(max(len(passage) * 2 // 5, short), ngram))
        rare = is_short and holds_rare_words(passage, held, standing, frames)
        out[number] = share, row, found or rare or (is_short and is_near(passage, held))
    return out


words = st.sampled_from(["a", "b", "B", "cc", "ddd", "qzxjk", "ḫwvqŋz"])
texts = st.lists(words, max_size=40).map(" ".join)
few = st.lists(st.sampled_from(["p q r s t u", "p q r s t u v w", "p q r s t u v w x y"]), max_size=3).map(" ".join)


def part(folder: Path, documents: list[str]) -> Path:
    ids = pa.array([f"{number:032x}" for number in range(len(documents))], pa.string())
    sources = pa.array(["web"] * len(documents), pa.string())
    batch = pa.record_batch({"doc_id": ids, "source": sources, "text": pa.array(documents, pa.large_string())})
    write_part(folder / "documents.parquet", batch.schema, [batch.slice(0, 1), batch.slice(1)])
    return folder / "documents.parquet"


def jsonl(path: Path, passages: Sequence[object], field: str = "text") -> Path:
    path.write_text("".join(json.dumps({field: passage}) + "\n" for passage in passages))
    return path


def score(documents: list[str], index) -> tuple[dict, pa.RecordBatch]:
    ids = [str(number) for number in range(len(documents))]
    batch = pa.record_batch({"doc_id": pa.array(ids, pa.string()), "text": pa.array(documents, pa.large_string())})
    return decontaminate.score(batch, index, 0.5)


@given(st.lists(texts, max_size=3), st.lists(st.one_of(texts, few), max_size=14), st.data())
@settings(max_examples=60)
def test_finds_equal_the_twin(tmp_path_factory, documents, passages, data):
    """Documents are made of passages too, with a word changed or other words between."""
    for passage in passages[:3]:
        pieces = passage.split()
        at = data.draw(st.integers(0, len(pieces)))
        documents += [
            " ".join(
                [*pieces[:at], *data.draw(st.lists(words, max_size=4)), *pieces[at + data.draw(st.integers(0, 1)) :]]
            )
        ]
    short, ngram = data.draw(st.integers(5, 8)), data.draw(st.integers(8, 13))
    folder = tmp_path_factory.mktemp("sets")
    sets = (("b", (jsonl(folder / "b.jsonl", passages),)),)
    signals, pairs = score(documents, load_passages(sets, ngram=ngram, short_ngram=short))
    expected = [twin(document, passages, ngram, short) for document in documents]
    best = [max((share for share, _, _ in of.values()), default=0.0) for of in expected]
    assert signals["contamination"].to_pylist() == pytest.approx(best, abs=1e-5)
    wanted = {(str(d), p) for d, of in enumerate(expected) for p, (share, _, found) in of.items() if found}
    edge = {(str(d), p) for d, of in enumerate(expected) for p, (share, _, _) in of.items() if abs(share - 0.5) < 1e-5}
    found = {(row["doc_id"], row["passage"]): row for row in pairs.to_pylist()}
    assert found.keys() - edge == wanted - edge
    for (document, passage), row in found.items():
        share, in_row, _ = expected[int(document)][passage]
        assert (row["share"], row["words"]) == (pytest.approx(share, abs=1e-5), in_row if in_row >= 4 else row["words"])


FIFTEEN = "the old mill by the river grinds rye and wheat for nine small villages nearby"
THAI = "โครงการนี้มีวัตถุประสงค์เพื่อพัฒนาคุณภาพชีวิตของประชาชนในพื้นที่ชนบทห่างไกลทั่วประเทศ"
HAN = "这个文件描述了当前修订版本软件包中的全部变更并被用于安装"


@pytest.mark.parametrize(
    ("passage", "text", "is_held"),
    [
        (FIFTEEN, f"He wrote: {FIFTEEN.upper().replace(' ', ',  ')}!", True),
        (FIFTEEN, FIFTEEN.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)}), True),  # full width
        (FIFTEEN, FIFTEEN.replace("rye", "rey"), True),
        (FIFTEEN, "the old mill by the river grinds " + "buy shoes " * 20 + FIFTEEN.split("grinds ")[1], True),
        (FIFTEEN, FIFTEEN.split("and")[0], True),  # eight words
        (FIFTEEN, "the old mill by the river", True),  # six words
        (FIFTEEN, "the old mill by the lake", False),  # five
        ("zeppelin pilot hugo eckener met amelia earhart there", "the zeppelin pilot Hugo Eckener", True),  # rare
        ("it was not the end of the day yet", "on the end of the road", False),  # four common ones
        (FIFTEEN, "the old mill by the brook and wheat for nine", False),
        (FIFTEEN[:38], FIFTEEN[:38].replace("by", "at"), True),  # eight words, one changed, no 5-gram left
        ("straße über den fluß nach großen Σίσυφος ohne", "STRASSE ÜBER DEN FLUSS NACH GROSSEN ΣΊΣΥΦΟΣ OHNE", True),
        ("un été à la plage près de nîmes", "un e\u0301te\u0301 a\u0300 la plage pre\u0300s de ni\u0302mes", True),
        (HAN, f"据说，{HAN[:20]}。", True),
        (HAN, HAN[:4] + "我" + HAN[6:], True),
        (THAI, f"ข่าว {THAI} จบ", True),
        (THAI, f"ข่าวใหม่{THAI[:60]}ค่ะ", True),  # the first part, inside another run of letters
        (THAI, "ข่าวนี้มีวัตถุประสงค์เพื่อพัฒนา", False),
    ],
)  # fmt: skip
def test_edits_that_leave_a_passage_recognisable(tmp_path, passage, text, is_held):
    index = load_passages((("b", (jsonl(tmp_path / "b.jsonl", ["something else entirely", passage]),)),))
    pairs = score(["", text], index)[1].to_pylist()
    assert [(row["doc_id"], row["item"]) for row in pairs] == ([("1", "1")] if is_held else [])


# ------------------------------------------------------------------------------------------------ real text


def sample_documents() -> list[str]:
    """The parquet texts of the sample corpus that evaluation sentences were taken from."""
    files = [SAMPLES / "legal/state-of-the-union.parquet", SAMPLES / "docs/gnome-help.parquet"]
    files += [SAMPLES / "docs/python-docs.parquet"]
    return [text for file in files for text in pq.read_table(file, columns=["text"]).column(0).to_pylist()]


def test_every_planted_passage_is_found_and_no_other(tmp_path):
    file = SAMPLES / "eval/contamination.jsonl"
    rows = [json.loads(line) for line in file.read_text().split("\n") if line]
    planted = {number for number, row in enumerate(rows) if row["contaminated"] and row["file"].endswith(".parquet")}
    absent = {number for number, row in enumerate(rows) if row["contaminated"] is False}
    outcome = screen(part(tmp_path, sample_documents()), tmp_path, {"eval": [file]})
    found = set(read_part(tmp_path / "passages.parquet").column("passage").to_pylist())
    assert {row["kind"] for row in rows if row["contaminated"]} == {"verbatim", "recased", "respaced"}
    assert len(planted) > 40
    assert planted <= found
    assert not found & absent
    assert outcome.facts["benchmarks"]["eval"]["found"] == len(found)


WORD = re.compile(r"[\u3041-\u30ff\u3400-\u9fff]|[^\W_\u3041-\u30ff\u3400-\u9fff]+")


def plain_words(text: str) -> list[str]:
    return WORD.findall(normalize("NFKC", text).casefold())


def held_by_a_plain_scan(texts: list[str], passages: list[str]) -> set[int]:
    """Numbers of the texts with any 13 words in a row of a passage, or half of its different 5-grams."""
    split = [words for passage in passages if len(words := plain_words(passage)) > 7]
    thirteen = {gram for words in split for gram in grams(words, 13)}
    fives = [set(grams(words, 5)) for words in split]
    every = set().union(*fives)
    found = set()
    for number, text in enumerate(texts):
        words = plain_words(text)
        near = every.intersection(grams(words, 5))
        if not near:
            continue
        if not thirteen.isdisjoint(grams(words, 13)) or any(2 * len(near & five) >= len(five) for five in fives):
            found.add(number)
    return found


def test_what_is_left_of_the_sample_holds_no_passage_by_a_plain_scan(tmp_path):
    """Any 13 words in a row, half of the 5-grams: none in documents without a find; and the scan does see them."""
    file = SAMPLES / "eval/contamination.jsonl"
    passages = [json.loads(line)["text"] for line in file.read_text().split("\n") if line]
    texts = [*sample_documents(), *forum_and_books()]
    screen(part(tmp_path, texts), tmp_path, {"eval": [file]})
    counts = read_part(tmp_path / "contamination.parquet")["contaminated_passages"].to_pylist()
    left = [text for text, count in zip(texts, counts, strict=True) if not count]
    assert held_by_a_plain_scan(left, passages) == set()
    dropped = [text for text, count in zip(texts, counts, strict=True) if count]
    assert 40 < len(dropped) < len(texts) / 10
    assert len(held_by_a_plain_scan(dropped, passages)) > 0.9 * len(dropped)


def forum_and_books() -> list[str]:
    """Quotations in several languages, and chapters; what passages were taken from too."""
    plain = [path.read_bytes() for path in sorted(SAMPLES.glob("forum/*.jsonl"))]
    packed = [path.read_bytes() for path in sorted(SAMPLES.glob("books/*.jsonl.zst"))]
    plain += [zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw)).read() for raw in packed]
    return [json.loads(line)["text"] for raw in plain for line in raw.split(b"\n") if line]


# ------------------------------------------------------------------------------------------------ the stage

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
EIGHT = "Alpha, beta -- gamma; delta epsilon zeta eta theta!"


def test_a_part_is_scored(tmp_path):
    sets = {"b": [jsonl(tmp_path / "b.jsonl", [EIGHT]), jsonl(tmp_path / "c.jsonl", [LONG, "too short"])]}
    sets["a"] = [jsonl(tmp_path / "a.jsonl", [LONG.upper()])]
    documents = part(tmp_path, [f"x {LONG}. y", "alpha beta gamma DELTA epsilon\nzeta eta theta", "", "nothing"])
    outcome = screen(documents, tmp_path, sets)
    check_conservation("contamination", outcome.accounts)
    assert outcome.facts["benchmarks"] == {
        "b": {"passages": 3, "too_short": 1, "found": 2, "documents": 2},
        "a": {"passages": 1, "too_short": 0, "found": 1, "documents": 1},
    }
    signals = read_part(tmp_path / "contamination.parquet")
    assert signals.schema == signals_schema(CONTAMINATION.signals)
    assert signals.column("contamination").to_pylist() == [1, 1, 0, 0]
    assert signals.column("contaminated_passages").to_pylist() == [2, 1, 0, 0]
    pairs = read_part(tmp_path / "passages.parquet").to_pylist()
    assert [(row["benchmark"], row["passage"], row["share"]) for row in pairs] == [
        ("b", 1, 1),
        ("a", 0, 1),
        ("b", 0, 1),
    ]


def test_a_report_counts_a_passage_of_two_parts_once(tmp_path):
    file = jsonl(tmp_path / "b.jsonl", [LONG])
    folders = [tmp_path / "0", tmp_path / "1"]
    for folder in folders:
        folder.mkdir()
        screen(part(folder, [LONG, LONG]), folder, {"b": [file]})
    index = load_passages((("b", (file,)),))
    report = decontaminate.contamination_report(folders, index)
    assert report == {"b": BenchmarkFacts(passages=1, too_short=0, found=1, documents=2)}
    assert decontaminate.contamination_report([], index)["b"].found == 0


def test_standing_words_of_a_benchmark_weigh_little(tmp_path):
    frame = "now choose the one and only correct answer to the long question that follows below"
    passages = [f"{frame} {name} was a king of which of these four countries" for name in "abcdefghijkl"]
    index = load_passages((("b", (jsonl(tmp_path / "b.jsonl", passages),)),))
    signals, pairs = score([frame, passages[0]], index)
    assert 0 < signals["contamination"][0].as_py() < 0.5
    assert pairs["doc_id"].to_pylist() == ["1"]  # 15 words in a row of the frame are no find, the whole is one


def test_rare_words_that_many_passages_share_are_no_mark(tmp_path):
    """Twelve questions on one man: his four names alone are no find, with the next word they are."""
    rest = ["born", "died", "lived", "sang", "wrote", "ran", "slept", "ate", "drank", "fought", "prayed", "swam"]
    passages = [f"Wolfgang Xaver Dittersdorfer Žižka {word} in that small town" for word in rest]
    index = load_passages((("b", (jsonl(tmp_path / "b.jsonl", passages),)),))
    pairs = score(["Wolfgang Xaver Dittersdorfer Žižka.", "Herr Wolfgang Xaver Dittersdorfer Žižka ran"], index)[1]
    assert [(row["doc_id"], row["item"]) for row in pairs.to_pylist()] == [("1", "5")]


def test_many_hits_outgrow_the_first_table(tmp_path):
    index = load_passages((("b", (jsonl(tmp_path / "b.jsonl", [EIGHT, EIGHT]),)),))
    signals, pairs = score([EIGHT] * 3_000, index)
    assert pairs.num_rows == 6_000
    assert set(signals["contaminated_passages"].to_pylist()) == {2.0}


def test_sets_come_as_parquet_and_gzip_too(tmp_path):
    pq.write_table(pa.table({"question": [LONG, None]}), tmp_path / "q.parquet")
    with gzip.open(tmp_path / "q.jsonl.gz", "wt") as file:
        file.write("\ufeff" + json.dumps({"question": EIGHT}) + "\n")  # as editors on Windows write it
    paths = (tmp_path / "q.parquet", tmp_path / "q.jsonl.gz")
    index = load_passages((("q", paths),), text_field="question")
    assert [total > 0 for total in index.totals] == [True, False, True]


def test_items_have_their_own_names_or_rows(tmp_path):
    rows = [{"text": LONG, "id": "q-7", "key": 3}, {"text": None, "id": "q-8"}, {"text": LONG.upper()}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.table({"doc_id": ["0f"], "text": [LONG]}), tmp_path / "documents.parquet")
    sets = (("b", (tmp_path / "a.jsonl",)),)
    for field, names in (("id", ["q-7", "2", "0f"]), ("key", ["3", "2", "0f"])):
        index = load_passages(sets, (("quiz", (tmp_path / "documents.parquet",)),), id_field=field)
        pairs = score([LONG], index)[1]
        assert pairs["item"].to_pylist() == names
        assert pairs["benchmark"].to_pylist() == ["b", "b", "quiz"]


def test_no_sets_and_no_documents(tmp_path):
    assert screen(part(tmp_path, ["text"]), tmp_path, {}).facts == {"benchmarks": {}}
    assert screen(part(tmp_path, []), tmp_path, {"b": [jsonl(tmp_path / "b", [LONG])]}).rows == 0


@pytest.mark.parametrize("bounds", [{"threshold": 0}, {"threshold": 1.1}, {"short_ngram": 14}, {"short_ngram": 4}])
def test_bounds_out_of_range(bounds):
    """What is out of range by itself the section refuses; what does not fit together is a mistake."""
    with pytest.raises(RecipeError, match=next(iter(bounds))):
        check_tables({"sets": {"b": ["x"]}, **bounds}, Decontaminate, lambda _: (), "", "test")


def test_bad_sets_are_named(tmp_path):
    pq.write_table(pa.table({"question": [LONG]}), tmp_path / "q.parquet")
    for path, error, message in (
        (tmp_path / "gone.jsonl", SourceError, "no evaluation set"),
        (tmp_path / "q.parquet", SchemaError, "no column 'text'"),
        (jsonl(tmp_path / "n.jsonl", [["a", "b"]]), SourceError, r"n.jsonl:1 .*list is no text"),
        (jsonl(tmp_path / "q.jsonl", [LONG], "question"), SourceError, r"q.jsonl:1 .*set decontaminate.text_field"),
    ):
        with pytest.raises(error, match=message):
            load_passages((("b", (path,)),))
