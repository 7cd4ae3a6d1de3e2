import re
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gristmill.corpus.errors import SourceError
from gristmill.corpus.measuring import measure_part
from gristmill.corpus.tables import read_part, write_part
from gristmill.corpus.text._unicode_table import UNICODE_VERSION
from gristmill.corpus.text.columns import text_column
from gristmill.filters.models._kernels_scripts import find_windows
from gristmill.filters.models._unicode_scripts import SCRIPTS
from gristmill.filters.models.language import (
    MIN_PARAGRAPH_BYTES,
    SCHEMA,
    UNKNOWN,
    _paragraphs,
    _spread,
    identify,
    load_model,
)
from gristmill.filters.models.scripts import NO_SCRIPT, SCRIPT_SHARES, script_columns
from gristmill.filters.models.stage import LANGUAGE, Language
from gristmill.flows.pipeline.catalogue import Catalogue

MODEL = Path(__file__).parents[2] / "samples" / "models" / "lid.176.ftz"
TEXTS = {
    "en": "The old mill stands by the river,\nand nobody has used it for years.",
    "de": "Die alte Mühle steht am Fluss, und niemand hat sie seit Jahren benutzt.",
    "fr": "Le vieux moulin se trouve au bord de la rivière depuis des années.",
    "ru": "Старая мельница стоит у реки, и никто не пользуется ею уже много лет.",
    "zh": "河边的旧磨坊已经多年没有人使用了。委员会决定请一位工程师提出意见。",
    "ja": "川のそばの古い水車小屋は、もう何年も使われていません。",
}


def batch_of(texts: list[str]) -> pa.RecordBatch:
    ids = [f"d{number}" for number in range(len(texts))]
    sources = ["web"] * len(texts)
    return pa.record_batch({"doc_id": ids, "source": sources, "text": pa.array(texts, pa.large_string())})


@pytest.fixture(scope="module")
def model():
    return load_model(MODEL)


def test_languages_of_plain_sentences(model):
    found = identify(batch_of(list(TEXTS.values())), model)
    assert found.schema == SCHEMA
    assert found.column("lang_id").to_pylist() == list(TEXTS)
    assert all(0.5 < score <= 1 for score in found.column("lang_score").to_pylist())


def test_a_document_without_text_is_undetermined(model):
    found = identify(batch_of(["", " \n\t", "\n"]), model)
    assert found.column("lang_id").to_pylist() == [UNKNOWN] * 3
    assert found.column("lang_score").to_pylist() == [0.0] * 3


@pytest.mark.parametrize(
    "front", ["\n" * 2100, " \u3000\xa0\ufeff" * 900, "\u200b\t" * 1500, "=" * 3000 + "\n", "17 " * 900]
)
def test_what_stands_before_the_letters_does_not_hide_the_language(model, front):
    plain, behind = identify(batch_of([TEXTS["en"] * 4, front + TEXTS["en"] * 4]), model).to_pylist()
    assert (behind["lang_id"], plain["lang_id"]) == ("en", "en")
    assert behind["lang_score"] == pytest.approx(plain["lang_score"], abs=0.02)


def test_white_space_inside_does_not_fill_the_beginning(model):
    found = identify(batch_of(["I.\n" + "\n" * 2100 + TEXTS["de"] * 4]), model)
    assert found.column("lang_id").to_pylist() == ["de"]


NO_LETTERS = {
    "digits": "12 345 67.8 90\n" * 40,
    "emoji": "😀🎉🚀 " * 60,
    "punctuation": "!? ... --- *** ((())) " * 30,
    "mathematics": "∀∃∑∫ = √2 ≤ 3 ± 0.5 × 10 ÷ 4 → ∞ " * 20,
    "marks": "\u0301\u0308\u093f " * 90,
    "boxes": "┌──┬──┐\n│ 1│ 2│\n" * 20,
    "table": "a 1.50 2.25 3.75 4.00 99.9 | 17.5 % | 2024-01-01\n" * 20,
    "braille": "⠓⠑⠇⠇⠕ " * 50,
}


@pytest.mark.parametrize("kind", NO_LETTERS)
def test_text_without_letters_has_no_language(model, kind):
    found = identify(batch_of([NO_LETTERS[kind]]), model).to_pylist()[0]
    assert (found["lang_id"], found["lang_score"]) == (UNKNOWN, 0.0)


def test_tables_between_paragraphs_are_in_no_foreign_language(model):
    text = "\n\n".join([LONG["de"], NO_LETTERS["digits"], LONG["de"], NO_LETTERS["boxes"]])
    assert paragraph_shares([text], model) == [1]


def naive_window(text: str, max_bytes: int) -> tuple[str, int, int]:
    """What the model sees of a text, its letters, and its characters that show."""

    def is_white(c: str) -> bool:
        return c <= " " or c.isspace() or c in "\ufeff\u200b"

    def cut(at: int) -> tuple[int, int, str]:
        left, before, end = max_bytes, False, at
        for c in text[at:]:
            left -= (0 if before else 1) if is_white(c) else len(c.encode())
            if left < 0:
                break
            before, end = is_white(c), end + 1
        return at, end, text[at:end]

    start = next((at for at, c in enumerate(text) if not is_white(c)), len(text))
    _, end, seen = cut(start)
    if end < len(text) and not any(c.isalpha() for c in seen):
        start = next((at for at in range(end, len(text)) if text[at].isalpha()), len(text))
        _, _, seen = cut(start)
    return seen, sum(c.isalpha() for c in seen), sum(not is_white(c) for c in seen)


@given(
    st.lists(st.text(st.sampled_from("ab1é中 \n\u3000\u200b\ufeff.!\x1f한"), max_size=60), max_size=4),
    st.integers(1, 40),
)
@example(["", "   ", "1" * 50 + "a"], 8)
def test_windows_equal_the_naive_ones(texts, max_bytes):
    text = text_column(batch_of(texts))
    starts, ends, letters, shown = np.empty((4, len(texts)), np.int64)
    find_windows(*text, max_bytes, starts, ends, letters, shown)
    for number, one in enumerate(texts):
        seen = text.data[starts[number] : ends[number]].tobytes().decode()
        assert (seen, letters[number], shown[number]) == naive_window(one, max_bytes)


def test_only_the_beginning_is_read_and_no_character_is_cut(model):
    text = TEXTS["ru"] + TEXTS["zh"] * 50
    cut = len(TEXTS["ru"].encode()) + 1  # in the middle of a character
    judged = ["lang_id", "lang_score"]
    beginning = identify(batch_of([TEXTS["ru"]]), model).select(judged)
    assert identify(batch_of([text]), model, cut).select(judged).equals(beginning)
    assert identify(batch_of([text]), model, 1 << 20).column("lang_id").to_pylist() == ["zh"]


def test_a_slice_is_identified_as_the_slice(model):
    batch = batch_of(list(TEXTS.values()))
    assert identify(batch.slice(2, 3), model).equals(identify(batch, model).slice(2, 3))
    assert identify(batch.slice(0, 0), model).num_rows == 0


def test_a_part_is_identified_and_counted(tmp_path, model, capfd):
    batch = batch_of([*TEXTS.values(), TEXTS["en"], ""])
    write_part(tmp_path / "documents.parquet", batch.schema, [batch])
    outcome = measure_part(LANGUAGE, tmp_path / "documents.parquet", tmp_path, Language(), {"model": [MODEL]})
    found = read_part(tmp_path / "language.parquet")
    assert found["doc_id"].to_pylist() == batch.column("doc_id").to_pylist()
    assert outcome.rows == 8
    assert outcome.facts["languages"] == {"de": 1, "en": 2, "fr": 1, "ja": 1, "ru": 1, UNKNOWN: 1, "zh": 1}
    assert outcome.facts["scripts"] == {"cyrillic": 1, "han": 1, "kana": 1, "latin": 4, "none": 1}
    assert outcome.accounts["web"].bytes_kept == sum(len(text.encode()) for text in batch.column("text").to_pylist())
    assert capfd.readouterr().err == ""


def test_a_missing_or_foreign_model_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"no model at .*language\.model"):
        load_model(tmp_path / "none.ftz")
    (tmp_path / "text.ftz").write_text("no model")
    with pytest.raises(SourceError, match=r"is not a fastText model.*language\.model"):
        load_model(tmp_path / "text.ftz")


# ------------------------------------------------------------------------------------------------ paragraphs

LONG = {language: " ".join([text] * 3) for language, text in TEXTS.items()}


def paragraph_shares(texts: list[str], model, **options) -> list[float]:
    return identify(batch_of(texts), model, **options).column("lang_paragraph_share").to_pylist()


def test_paragraphs_in_the_documents_language_are_its_share(model):
    mixed = "\n\n".join([LONG["de"], LONG["fr"], LONG["de"], LONG["ru"]])
    german, all_bytes = 2 * len(LONG["de"].encode()), len(mixed.encode()) - 6
    plain = "\n\n".join([LONG["de"]] * 4)
    assert paragraph_shares([mixed, plain], model, max_bytes=100) == pytest.approx([german / all_bytes, 1])


def test_a_document_without_two_paragraphs_agrees_with_itself(model):
    headings = "\n\n".join(["Kapitel", LONG["de"], "Fin", "Конец"])  # too short to be judged
    assert paragraph_shares(["", "\n\n", LONG["ru"], headings], model) == [1, 1, 1, 1]


def test_no_more_paragraphs_are_looked_at_than_asked(model):
    text = "\n\n".join([LONG["de"]] * 7 + [LONG["fr"]])
    assert paragraph_shares([text], model, max_paragraphs=0) == [1]
    whole, some = paragraph_shares([text], model)[0], paragraph_shares([text], model, max_paragraphs=2)[0]
    assert 0.85 < whole < 0.9
    assert 0.4 < some < 0.6  # the fourth and the last


def naive_paragraphs(text: str) -> list[tuple[int, int]]:
    """Byte ranges of what two or more line feeds separate, at least MIN_PARAGRAPH_BYTES long."""
    data = text.encode()
    cuts = [match.span() for match in re.finditer(rb"\n\n+", data)]
    starts, ends = [0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(data)]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if end - start >= MIN_PARAGRAPH_BYTES]


pieces = st.sampled_from(["\n", "\n\n", "a" * 70, "b" * 63, "é" * 32, " ", "word " * 30])
documents = st.lists(st.lists(pieces, max_size=12).map("".join), max_size=5)


@given(documents)
@example(["\n\n" + "a" * 64 + "\n\n\n" + "b" * 62 + "\n"])
def test_paragraphs_equal_the_naive_ones(texts):
    text = text_column(batch_of(texts))
    docs, starts, ends = _paragraphs(text)
    found = [[] for _ in texts]
    for doc, start, end in zip(docs.tolist(), starts.tolist(), ends.tolist(), strict=True):
        found[doc].append((start - text.offsets[doc], end - text.offsets[doc]))
    assert found == [naive_paragraphs(one) for one in texts]


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(0, 5))
def test_chosen_paragraphs_are_evenly_spread(counts, most):
    docs = np.repeat(np.arange(len(counts)), counts)
    places = np.arange(docs.size)
    chosen, starts, _ = _spread(docs, places, places + 1, most, len(counts))
    expected = [0 if count < 2 else min(count, most) for count in counts]
    assert np.bincount(chosen, minlength=len(counts)).tolist() == expected
    for doc, count in enumerate(counts):
        gaps = np.diff(starts[chosen == doc])
        assert gaps.size == 0 or gaps.max() - gaps.min() <= 1, (count, gaps)


# ------------------------------------------------------------------------------------------------ scripts

_NAMES = {
    "LATIN": "latin", "CYRILLIC": "cyrillic", "CJK": "han", "HIRAGANA": "kana", "KATAKANA": "kana", "HANGUL": "hangul",
    "ARABIC": "arabic", "DEVANAGARI": "devanagari",
}  # fmt: skip


def script_of(character: str) -> str | None:
    """The script in a letter's Unicode name; None for what is no letter, and for modifiers that name none."""
    name = unicodedata.name(character, "")
    if not unicodedata.category(character).startswith("L") or name.startswith("MODIFIER LETTER"):
        return None
    return next((_NAMES[word] for word in name.split() if word in _NAMES), "other")


same_unicode = pytest.mark.skipif(
    unicodedata.unidata_version != UNICODE_VERSION, reason="the twin asks this Python's Unicode database"
)


@same_unicode
def test_letters_of_the_common_blocks_have_the_script_of_their_name():
    letters = [chr(point) for point in range(0x3400) if script_of(chr(point)) is not None]
    letters += [chr(point) for point in range(0x4E00, 0x11000, 7) if script_of(chr(point)) is not None]
    found = script_columns(text_column(batch_of(letters)))["script_main"].to_pylist()
    wrong = [(c, one) for c, one in zip(letters, found, strict=True) if script_of(c) != one]
    assert len(letters) > 7000
    assert {character for character, _ in wrong} <= set(
        "ªº\u212a\u212bℲⅎↃ々〆〻ー"
    )  # Unicode's Scripts.txt says so too


alphabet = st.sampled_from("aZ7 .\né̀ßжЯ中々あアｱ한ᄀسनि🙂𠀀ªΩ")


@same_unicode
@given(st.lists(st.text(alphabet, max_size=150), max_size=4))
def test_script_shares_equal_the_naive_ones(texts):
    found = script_columns(text_column(batch_of(texts)))
    for number, text in enumerate(texts):
        counts = Counter("latin" if c == "ª" else "han" if c == "々" else script_of(c) for c in text)
        del counts[None]
        for name, share in zip(SCRIPTS, SCRIPT_SHARES, strict=True):
            expected = counts[name] / counts.total() if counts else 0
            assert found[share][number].as_py() == pytest.approx(expected, abs=1e-15)
        best = max(SCRIPTS, key=lambda name: counts[name]) if counts else NO_SCRIPT
        assert found["script_main"][number].as_py() == best


def test_scripts_of_plain_sentences():
    found = script_columns(text_column(batch_of([*TEXTS.values(), "123 !"])))
    assert found["script_main"].to_pylist() == ["latin", "latin", "latin", "cyrillic", "han", "kana", NO_SCRIPT]


def test_rules_may_judge_every_language_signal():
    names = {signal.name for signal in LANGUAGE.signals}
    assert names <= set(Catalogue().signals)
    assert set(SCHEMA.names) - names == {"doc_id", "lang_id", "script_main"}
