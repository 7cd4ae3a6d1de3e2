"""Every signal of every built-in stage stays in the range that it declares, whatever the text."""

import json
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gristmill.corpus.errors import StageError
from gristmill.corpus.measuring import Measurer
from gristmill.corpus.schema import DOCUMENTS
from gristmill.corpus.stage import PartStage
from gristmill.filters.models.classifier import train_classifier
from gristmill.filters.models.stage import LANGUAGE_MODEL, Classifier, Compression, Language
from gristmill.filters.signals.stage import SIGNALS
from gristmill.flows.pipeline.stages import BUILT_IN
from gristmill.flows.pipeline.warming import TINY, tiny_options

MEASURED = {spec.name: spec for spec in BUILT_IN if isinstance(spec, PartStage) and (spec.signals or spec.chosen)}
PIECES = [
    "- - -", "-", " ", "\n", "\n\n", "\t", "\r", "\x0b\x0c", "\x00", "\x1c\x1d", "\x85", "\u2028", "\u2029",
    "\u3000", "\ufeff", "\u200b", "\u200d", "\xa0", "a", "a a", "A.", ". . .", "...", "…", "#", "# # #", "{",
    "}", "•", "• •\n", "* *\n", "●", "no\nno\n", "a b a b a b ", "中", "中文。", "。。", "が",
    "ｱ", "한국", "नमस्ते", "سؤال؟", "ไทย", "é", "e\u0301", "\u0301", "🙂",
    "\U0001f469\u200d\U0001f469", "\ufffd", "Ã©", "ÐŸÑ€", "РџСЂ", "²½Ⅷ", "١٢", "12", "0",
    "a@b.org", "10.0.0.1", "France", "Germany near France", "http://a.b/c?d=e", "<p>", "lorem ipsum",
    "javascript", "Terms of Use", "x" * 300, "tiny text", "\U0010ffff", "\ue000", "\u0378", "ﷺ", "ǅ", "ß",
    "İ", "ſ", "\u202e", "\u0e33",
]  # fmt: skip
characters = st.characters(exclude_categories=["Cs"])
texts = st.one_of(
    st.text(characters, max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join),
    st.tuples(st.sampled_from(PIECES), st.integers(1, 400)).map(lambda pair: pair[0] * pair[1]),
)


def batch_of(documents: list[str]) -> pa.RecordBatch:
    ids = [f"{number:032x}" for number in range(len(documents))]
    given = {"doc_id": ids, "text": documents, "text_hash": ids, "locator": ids, "meta": [None] * len(ids)}
    values = {field.name: given.get(field.name, ["x"] * len(ids)) for field in DOCUMENTS}
    return pa.record_batch([pa.array(values[field.name], field.type) for field in DOCUMENTS], schema=DOCUMENTS)


def classifier(folder):
    for label in ("positive", "negative"):
        lines = [json.dumps({"text": f"{label} {number} " * 5}) for number in range(30)]
        (folder / f"{label}.jsonl").write_text("\n".join(lines))
    positive, negative = [folder / "positive.jsonl"], [folder / "negative.jsonl"]
    train_classifier(folder, positive=positive, negative=negative, dim=4, epochs=3, buckets=100)
    return Classifier(name="x", model="x"), {"model": [folder / "model.bin"]}


OTHERS = {
    "language": lambda folder: (Language(), {"model": [LANGUAGE_MODEL]}),
    "compression": lambda folder: (Compression(), {}),
    "classifier": classifier,
}


@pytest.fixture(scope="module")
def measurers(tmp_path_factory):
    """Every stage with all that it can measure, prepared once."""
    found = {}
    for name, spec in MEASURED.items():
        folder = tmp_path_factory.mktemp(name)
        options, artefacts = tiny_options(name, folder) if name in TINY else OTHERS[name](folder)
        found[name] = Measurer.of(spec, options, artefacts)
    return found


@settings(max_examples=80)
@given(documents=st.lists(texts, min_size=1, max_size=6))
@example(documents=["- - -", "", " ", "\n", "-", "a", *PIECES])
@example(documents=[piece * 50 for piece in PIECES])
def test_every_value_is_in_the_range_that_its_signal_declares(measurers, documents):
    batch = batch_of(documents)
    for measurer in measurers.values():
        measurer.batch(batch)  # raises StageError, which names signal, value and document


def test_a_value_outside_is_refused(measurers):
    signals = tuple(replace(one, high=0.25) if one.name == "punct_share" else one for one in SIGNALS.signals)
    narrow = replace(measurers["signals"], spec=replace(SIGNALS, signals=signals))
    with pytest.raises(StageError, match=r"punct_share is 0\.6 for document 0+, declared 0 to 0\.25"):
        narrow.batch(batch_of(["- - -"]))
