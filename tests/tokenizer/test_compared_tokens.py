"""Other tokenizers on the kept text: counts are those of the library, and entries are those that occur."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from gristmill.corpus.errors import SourceError
from gristmill.corpus.files import file_sha256
from gristmill.tokenizer.compared_tokens import ENTRIES, compare_tokens, used_entries
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
    path, found = mill.write(folder / "part.parquet", documents), {}
    tokenizers = {"": files / "own" / TOKENIZER} | {name: files / f"{name}.json" for name in ("word_piece", "unigram")}
    for name, tokenizer in tokenizers.items():
        out = folder / f"of_{name}"
        out.mkdir()
        halves = [(path, mill.kept(documents, rows), None) for rows in ([0, 2], [1, 3])]  # two parts are added up
        found[name] = (
            compare_tokens(halves, tokenizer, folder / f"of_{name}", name=name),
            folder / f"of_{name}" / ENTRIES,
        )
    return found


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
    shown = {name: outcome.facts for name, (outcome, _) in compared.items()}
    assert all(one["name"] == name for name, one in shown.items())
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
    assert {(outcome.rows, len(outcome.accounts)) for outcome, _ in compared.values()} == {(0, 0)}


def test_entries_are_those_that_occur(files, compared):
    _, path = compared["word_piece"]
    english = {token for ids in ids_of(files, "word_piece")[:2] for token in ids}
    table = pq.read_table(path).to_pylist()
    assert {one["token"] for one in table if one["lang"] == "en"} == english
    assert len({(one["lang"], one["token"]) for one in table}) == len(table)
    used, everywhere = used_entries(path), {one["token"] for one in table}
    assert used.everywhere == used.by_domain["web"] == len(everywhere)
    assert used.by_language["en"] == len(english) < len(everywhere)
    assert list(used.by_language) == ["", "en", "ru"]


def test_the_language_found_goes_before_the_one_stated(files, mill, tmp_path):
    documents = mill.documents(["a dog", " \n", "ein Hund"])  # the blank one is left out
    pq.write_table(pa.table({"lang_id": ["en", "fr", "de"]}), tmp_path / "language.parquet")
    part = mill.write(tmp_path / "part.parquet", documents), mill.kept(documents), tmp_path / "language.parquet"
    facts = compare_tokens([part], files / "own" / TOKENIZER, tmp_path, name="").facts
    assert [(one["lang"], one["documents"]) for one in facts["counts"]] == [("de", 1), ("en", 1)]


def test_no_kept_text(files, tmp_path):
    outcome = compare_tokens([], files / "own" / TOKENIZER, tmp_path, name="")
    assert outcome.facts["counts"] == ()
    assert used_entries(tmp_path / ENTRIES).everywhere == 0


def test_a_file_that_is_no_tokenizer(tmp_path):
    (tmp_path / "wrong.json").write_text("{}")
    with pytest.raises(SourceError, match=r"wrong\.json"):
        compare_tokens([], tmp_path / "wrong.json", tmp_path, name="wrong")
