"""Other tokenizers on the kept text: counts are those of the library, and entries are those that occur."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from gristmill.corpus.errors import SourceError
from gristmill.corpus.files import file_sha256
from gristmill.tokenizer.compared_tokens import ENTRIES, compare_part, used_entries
from gristmill.tokenizer.own_tokenizer import take_tokenizer
from gristmill.tokenizer.stage import Tokenizer as Section
from gristmill.tokenizer.tokenizer_json import TOKENIZER
from tests.tokenizer.own_tokenizers import FAMILIES

TEXTS = ["the dog sleeps", "The dog  sleeps", "да вот тут </s>", "没有空格"]
LANGUAGES = ["en", "en-GB", "rus", None]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    for name in ("byte_level", "word_piece", "unigram"):
        FAMILIES[name]().save(str(folder / f"{name}.json"))
    (folder / "own").mkdir()
    section = Section(path="own.json", specials={"end": "</s>", "pad": "<pad>"})
    take_tokenizer(folder / "byte_level.json", folder / "own", section=section)
    return folder


@pytest.fixture(scope="module")
def compared(files, mill, tmp_path_factory):
    folder = tmp_path_factory.mktemp("part")
    documents = mill.documents(TEXTS).set_column(4, "lang", pa.array(LANGUAGES))
    others = {name: files / f"{name}.json" for name in ("word_piece", "unigram")}
    path = mill.write(folder / "part.parquet", documents)
    outcome = compare_part(path, mill.kept(documents), files / "own" / TOKENIZER, others, folder)
    return outcome, folder / ENTRIES


def ids_of(files, name):
    """The library's own ids of each text, no truncation, no padding; a special token's name is text."""
    tokenizer = Tokenizer.from_file(str(files / f"{name}.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    special = tokenizer.token_to_id("</s>")
    found = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS[:2] + TEXTS[3:]]
    assert not any(special in ids for ids in found)
    return found


def test_counts_are_those_of_the_library(files, compared):
    outcome, _ = compared
    shown = {one["name"]: one for one in outcome.facts["tokenizers"]}
    assert list(shown) == ["", "word_piece", "unigram"]
    for name, file in (("", "byte_level"), ("word_piece", "word_piece"), ("unigram", "unigram")):
        one = shown[name]
        by_language = {count["lang"]: count for count in one["counts"]}
        english, other = ids_of(files, file)[:2], ids_of(files, file)[2:]
        assert by_language["en"]["tokens"] == sum(map(len, english)), name
        assert by_language[""]["tokens"] == len(other[0]), name
        assert [by_language[lang]["bytes"] for lang in ("", "en", "ru")] == [12, 29, 23]
        assert one["sha256"] == file_sha256(files / f"{file}.json")
        assert one["vocab_size"] == Tokenizer.from_file(str(files / f"{file}.json")).get_vocab_size()
    assert sum(count["changed"] for count in shown["word_piece"]["counts"]) == 3  # capitals, two spaces, Chinese
    assert sum(count["changed"] for count in shown[""]["counts"]) == 0
    assert (outcome.rows, outcome.accounts) == (0, {})


def test_entries_are_those_that_occur(files, compared):
    _, path = compared
    english = {token for ids in ids_of(files, "word_piece")[:2] for token in ids}
    table = pq.read_table(path)
    own = table.filter(pc.equal(table["tokenizer"], "word_piece"))
    assert set(own.filter(pc.equal(own["lang"], "en"))["token"].to_pylist()) == english
    used = used_entries([path, path])  # a second part with the same tokens adds none
    assert list(used) == ["", "word_piece", "unigram"]
    everywhere = set(own["token"].to_pylist())
    assert used["word_piece"].everywhere == used["word_piece"].by_domain["web"] == len(everywhere)
    assert used["word_piece"].by_language["en"] == len(english) < len(everywhere)
    assert used_entries([]) == {}


def test_the_language_found_goes_before_the_one_stated(files, mill, tmp_path):
    documents = mill.documents(["a dog", " \n", "ein Hund"])  # the blank one is left out
    pq.write_table(pa.table({"lang_id": ["en", "fr", "de"]}), tmp_path / "language.parquet")
    arguments = (mill.write(tmp_path / "part.parquet", documents), mill.kept(documents), files / "own" / TOKENIZER, {})
    outcome = compare_part(*arguments, tmp_path, language=tmp_path / "language.parquet")
    (own,) = outcome.facts["tokenizers"]
    assert [(one["lang"], one["documents"]) for one in own["counts"]] == [("de", 1), ("en", 1)]


def test_a_part_without_kept_text(files, mill, tmp_path):
    documents = mill.documents(["a dog"])
    kept = mill.kept(documents).slice(0, 0)
    own = files / "own" / TOKENIZER
    outcome = compare_part(mill.write(tmp_path / "part.parquet", documents), kept, own, {}, tmp_path)
    assert outcome.facts["tokenizers"][0]["counts"] == ()
    assert pq.read_table(tmp_path / ENTRIES).num_rows == 0


def test_a_file_that_is_no_tokenizer(files, mill, tmp_path):
    documents = mill.documents(["a dog"])
    (tmp_path / "wrong.json").write_text("{}")
    own, others = files / "own" / TOKENIZER, {"wrong": tmp_path / "wrong.json"}
    with pytest.raises(SourceError, match=r"wrong\.json"):
        compare_part(mill.write(tmp_path / "p.parquet", documents), mill.kept(documents), own, others, tmp_path)
