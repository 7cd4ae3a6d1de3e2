"""Tokenizers that a recipe names: every family is taken, text stays text, and what does not come back is counted."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from gristmill.corpus.errors import SourceError
from gristmill.tokenizer.encode import TOKENS, encode_part
from gristmill.tokenizer.encoder import CheckedEncoder
from gristmill.tokenizer.own_tokenizer import take_tokenizer
from gristmill.tokenizer.spelling import RoundTrip, is_concatenation, token_bytes
from gristmill.tokenizer.stage import Specials
from gristmill.tokenizer.stage import Tokenizer as Section
from gristmill.tokenizer.text_counts import USES, unused_tokens
from gristmill.tokenizer.text_tokenizer import TextTokenizer
from gristmill.tokenizer.tokenizer_json import TOKENIZER, SpecialTokens, faults, marked, read_config
from tests.tokenizer.own_tokenizers import FAMILIES, SPECIALS, TEXTS


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One tokenizer.json of each family."""
    folder = tmp_path_factory.mktemp("own")
    for name, make in FAMILIES.items():
        make().save(str(folder / f"{name}.json"))
    return folder


def taken(path, folder, **specials):
    """The tokenizer as a run has it."""
    folder.mkdir()
    section = Section(path=str(path), specials={"end": "</s>", "pad": "<pad>"} | specials)
    return take_tokenizer(path, folder, section=section), folder / TOKENIZER


def plain(path):
    """The library's own answer: no truncation, no padding, nothing added."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def large(texts):
    return pa.array(texts, pa.large_string())


@pytest.mark.parametrize("family", FAMILIES)
def test_ids_are_those_of_the_library_and_the_file_is_copied(files, tmp_path, family):
    path = files / f"{family}.json"
    outcome, copy = taken(path, tmp_path / "run")
    assert copy.read_bytes() == path.read_bytes()
    encoder, ids = CheckedEncoder(copy), plain(path)
    tokens = encoder.encode(large(TEXTS))
    end = Tokenizer.from_file(str(path)).token_to_id("</s>")
    found = [tokens.ids[a:b].tolist() for a, b in zip(tokens.offsets, tokens.offsets[1:], strict=False)]
    assert found == [[*ids(text), end] for text in TEXTS]
    assert outcome.facts["vocab_size"] == encoder.vocab_size
    assert (outcome.facts["trained"], outcome.facts["end"], outcome.facts["pad_id"]) == (False, "</s>", end + 1)
    assert encoder.engine == ("kernels" if family in ("byte_level", "ignore_merges") else "tokenizers")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_special_token_of_the_file_stays_text(files, tmp_path, family):
    """Alone, inside a word, beside itself, in a sentence: no id of a special token but the end, and unknown ones."""
    _, copy = taken(files / f"{family}.json", tmp_path / "run")
    encoder = CheckedEncoder(copy)
    special = marked(encoder.text.config)
    assert special.keys() >= set(SPECIALS[1:])
    forbidden = [number for name, number in special.items() if name != "<unk>"]
    for name in special:
        for text in (name, f"a{name}b", name * 3, f"see {name} here", f" {name}\n"):
            ids = encoder.encode(large([text])).ids
            assert ids[-1] == special["</s>"]
            assert not np.isin(ids[:-1], forbidden).any(), (family, text)


@pytest.mark.parametrize("family", ["byte_level", "metaspace"])
def test_a_spelled_special_token_comes_back(files, tmp_path, family):
    _, copy = taken(files / f"{family}.json", tmp_path / "run")
    text = TextTokenizer(copy)
    for name in SPECIALS[1:]:
        ids = text.tokenizer.encode(f"see {name} here", add_special_tokens=False).ids
        assert text.decode(ids) == f"see {name} here"


def test_the_library_alone_would_have_made_special_tokens_of_text(files):
    """Why names are changed: the library's own switch does not reach what a model lists among its words."""
    tokenizer = Tokenizer.from_file(str(files / "unigram.json"))
    tokenizer.encode_special_tokens = True
    assert tokenizer.token_to_id("</s>") in tokenizer.encode("a </s> b", add_special_tokens=False).ids


def test_a_token_that_the_recipe_declares_stays_text_too(files, tmp_path):
    _, copy = taken(files / "byte_level.json", tmp_path / "a")
    _, declared = taken(files / "byte_level.json", tmp_path / "b", control=["    "])
    spaces = Tokenizer.from_file(str(copy)).token_to_id("    ")
    texts = large(["    return"])
    assert spaces in CheckedEncoder(copy).encode(texts).ids
    assert spaces not in CheckedEncoder(declared).encode(texts).ids


@pytest.mark.parametrize("family", FAMILIES)
def test_texts_that_do_not_come_back_are_found(files, tmp_path, family):
    """Compared with the library's decoder, one by one; byte-level tokenizers by their bytes alone."""
    _, copy = taken(files / f"{family}.json", tmp_path / "run")
    encoder = CheckedEncoder(copy)
    texts = [*TEXTS, "", " a", "a ", "ａ", "A", "\u2581", "<0x0A>", "e\u0301"]
    tokens = encoder.encode(large(texts))
    stops = tokens.offsets[1:] - 1
    ids = [tokens.ids[a:b].tolist() for a, b in zip(tokens.offsets, stops, strict=False)]
    expected = [encoder.text.decode(one) == text for one, text in zip(ids, texts, strict=True)]
    assert RoundTrip(encoder.text).holds(large(texts), tokens).tolist() == expected
    assert all(expected) == is_concatenation(encoder.text.config)


@pytest.mark.parametrize("family", FAMILIES)
def test_bytes_of_tokens_are_those_that_the_library_decodes(files, tmp_path, family):
    """Each token between two others, as in the middle of a document."""
    _, copy = taken(files / f"{family}.json", tmp_path / "run")
    text = TextTokenizer(copy)
    words = token_bytes(text.config)
    anchor = text.tokenizer.encode("dog", add_special_tokens=False).ids[-1]
    for number, word in enumerate(words):
        try:
            expected = text.decode([anchor, number, anchor])
        except Exception:  # noqa: BLE001 - the library's word for an id that no token has
            continue
        if "\ufffd" not in expected:
            spelled = b"".join(words[one] for one in (anchor, number, anchor)).decode(errors="replace")
            assert _plainly(spelled) == _plainly(expected), (family, number, word)


def _plainly(text):
    """Without spaces, which WordPiece's decoder drops before punctuation, and others at the beginning."""
    return text.replace(" ", "")


def test_documents_without_an_end_token(files, tmp_path, mill):
    _, copy = taken(files / "byte_level.json", tmp_path / "run", end="")
    documents = mill.documents(["a dog", "\u200b!", "fox"])
    out = tmp_path / "out"
    out.mkdir()
    path = mill.write(tmp_path / "part.parquet", documents)
    outcome = encode_part(path, mill.kept(documents), copy, out)
    ids = pq.read_table(out / TOKENS)["tokens"].to_pylist()
    assert [TextTokenizer(copy).decode(one) for one in ids] == ["a dog", "\u200b!", "fox"]
    assert outcome.facts["counts"][0]["tokens"] == sum(map(len, ids)) == outcome.facts["tokens"]["web"]


def test_counts_by_domain_and_language(files, tmp_path, mill):
    _, copy = taken(files / "word_piece.json", tmp_path / "run")
    texts = ["the dog sleeps", "The dog  sleeps", "да вот тут", "没有空格"]
    documents = mill.documents(texts).set_column(4, "lang", pa.array(["en", "en-GB", "rus", None]))
    out = tmp_path / "out"
    out.mkdir()
    outcome = encode_part(mill.write(tmp_path / "part.parquet", documents), mill.kept(documents), copy, out)
    table = pq.read_table(out / TOKENS)
    assert table["comes_back"].to_pylist() == [True, False, True, False]
    shown = {one["lang"]: one for one in outcome.facts["counts"]}
    assert list(shown) == ["", "en", "ru"]
    tokens = [len(ids) - 1 for ids in table["tokens"].to_pylist()]
    assert shown["en"] == {
        "domain": "web",
        "lang": "en",
        "documents": 2,
        "bytes": 29,
        "characters": 29,
        "words": 6,
        "tokens": tokens[0] + tokens[1],
        "changed": 1,
    }
    assert (shown["ru"]["characters"], shown["ru"]["bytes"], shown["ru"]["words"]) == (10, 18, 3)
    used = {token for ids in table["tokens"].to_pylist() for token in ids}
    n_tokens = outcome.facts["vocab_size"]
    assert unused_tokens([out / USES], n_tokens) == {"": n_tokens - len(used), "web": n_tokens - len(used)}


def test_languages_of_the_model_go_before(files, tmp_path, mill):
    _, copy = taken(files / "byte_level.json", tmp_path / "run")
    documents = mill.documents(["a dog", "ein Hund", "???"])
    language = tmp_path / "language.parquet"
    pq.write_table(pa.table({"lang_id": ["en", "de", "und"]}), language)
    out = tmp_path / "out"
    out.mkdir()
    kept = mill.kept(documents, [2, 1])
    path = mill.write(tmp_path / "part.parquet", documents, 1)
    facts = encode_part(path, kept, copy, out, language=language).facts
    assert [(one["lang"], one["characters"]) for one in facts["counts"]] == [("", 3), ("de", 8)]


@pytest.mark.parametrize(
    ("specials", "key", "told"),
    [
        ({}, "specials.end", "no token '<|endoftext|>'"),
        ({"end": "</S>"}, "specials.end", "did you mean '</s>'"),
        ({"end": "</s>", "pad": "[PAD]"}, "specials.pad", "no token '[PAD]'"),
        ({"end": "</s>", "begin": "<bos>"}, "specials.begin", "no token '<bos>'"),
        ({"end": "", "control": ["<|user|>", "<|tool|>"]}, "specials.control", "no token '<|tool|>'"),
    ],
)
def test_a_token_that_the_file_lacks_names_its_key(files, tmp_path, specials, key, told):
    config = read_config(files / "unigram.json")
    found = list(faults(config, Specials(**specials)))
    assert [name for name, _ in found] == [key]
    assert told in found[0][1]
    section = Section(path="x", specials=specials)
    with pytest.raises(SourceError, match=rf"tokenizer\.{key}: "):
        take_tokenizer(files / "unigram.json", tmp_path, section=section)


def test_random_ids_are_refused(files):
    config = read_config(files / "metaspace.json")
    config["model"]["dropout"] = 0.1
    assert [key for key, _ in faults(config, Specials(end="</s>"))] == ["path"]


@pytest.mark.parametrize(
    ("specials", "config", "expected"),
    [
        ({"end": "</s>"}, {"</s>": 4, "<|pad|>": 5}, 5),
        ({"end": "</s>"}, {"</s>": 4}, 4),
        ({"end": ""}, {"</s>": 4}, 0),
        ({"end": "</s>", "pad": "a"}, {"</s>": 4, "a": 1}, 1),
    ],
)
def test_rows_are_filled_with_the_pad_the_end_or_id_0(specials, config, expected):
    found = {"model": {"vocab": config}, "added_tokens": []}
    assert SpecialTokens.of(Specials(**specials), found).pad_id(found) == expected


def test_an_old_run_has_no_second_file(files, tmp_path):
    assert SpecialTokens.beside(tmp_path / TOKENIZER) == SpecialTokens()


def test_transformers_finds_its_keys(files, tmp_path):
    _, copy = taken(files / "unigram.json", tmp_path / "run", begin="<s>", control=["<|user|>"])
    found = json.loads((copy.parent / "tokenizer_config.json").read_text())
    assert (found["bos_token"], found["eos_token"], found["pad_token"]) == ("<s>", "</s>", "<pad>")
    assert found["additional_special_tokens"] == ["<|user|>"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"model": {}}', b'{"model": {"vocab": 3}}', b"\xff\xfe"])
@pytest.mark.parametrize("name", ["tokenizer.json", "spm.model"])
def test_what_is_no_tokenizer_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match="is no tokenizer"):
        taken(tmp_path / name, tmp_path / "run")


CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_sentencepiece_model_gives_the_ids_of_sentencepiece(tmp_path, kind):
    cases = json.loads((CASES / "sentencepiece.json").read_text(encoding="utf-8"))
    outcome, copy = taken(CASES / f"{kind}.model", tmp_path / "run", pad=None)
    text = TextTokenizer(copy)
    found = [text.tokenizer.encode(one, add_special_tokens=False).ids for one in cases["texts"]]
    assert found == cases["ids"][kind]
    assert (tmp_path / "run" / "sentencepiece.model").read_bytes() == (CASES / f"{kind}.model").read_bytes()
    assert outcome.facts["model"] == {"unigram": "Unigram", "bpe": "BPE"}[kind]
    assert outcome.facts["pad_id"] == text.end_id


@pytest.mark.parametrize("cut", [1, 7, 40, 1000, -1])
def test_a_sentencepiece_model_that_is_cut_short_is_named(tmp_path, cut):
    path = tmp_path / "spm.model"
    path.write_bytes((CASES / "bpe.model").read_bytes()[:cut])
    with pytest.raises(SourceError, match="is no tokenizer"):
        taken(path, tmp_path / "run")
