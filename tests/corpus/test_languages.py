import re
from pathlib import Path

import pyarrow as pa
import pytest

from gristmill.corpus import languages
from gristmill.corpus.languages import primary_subtag, primary_subtags

SAME = {  # what documents state, by the language that it names
    "pt": ["pt", "pt-BR", "pt_br", "por", "por_BR", "PT", " pt "],
    "zh": ["zh-tw", "zh-Hant-TW", "cmn", "cmn_hant", "zho", "chi", "zh_CN.UTF-8"],
    "ar": ["ar", "arb", "ara", "ar-EG"],
    "ko": ["ko", "kor", "ko-KR"],
    "de": ["de", "deu", "ger", "deu_1901", "de-AT-1996", "de_DE@euro"],
    "el": ["ell_polytonic", "gre", "el"],
    "he": ["iw", "heb"],
    "id": ["in", "ind"],
    "fa": ["pes_1", "fas", "per"],
    "ace": ["ace"],
    "yue": ["yue-Hant"],
}
NONE = [
    "",
    " ",
    "und",
    "mul",
    "zxx",
    "mis",
    "unknown",
    "python",
    "javascript",
    "go",
    "c",
    "c++",
    "x-default",
    "i-klingon",
]
NONE += ["none", "English", "en,de", "en de", "12", "-", "e", "qaa", "xml", "sql", "🙂", "en-", "en--us", "ﬁ"]


@pytest.mark.parametrize("language", SAME)
def test_a_tag_is_read_as_its_primary_subtag(language):
    assert {tag: primary_subtag(tag) for tag in SAME[language]} == dict.fromkeys(SAME[language], language)


@pytest.mark.parametrize("tag", NONE)
def test_what_names_no_language_is_none(tag):
    assert primary_subtag(tag) is None


def test_no_tag_is_none():
    assert primary_subtag(None) is None


def test_every_language_of_two_letters_has_its_three():
    two = {pair.partition(":")[0] for pair in languages._CODES.split()}
    assert len(two) == 184  # ISO 639-1 with sh, as the registration authority lists them
    codes = [code for pair in languages._CODES.split() for code in pair.partition(":")[2].split("/")]
    assert len(codes) == len(set(codes)) == 184 + 20  # the twenty with a bibliographic code of their own
    assert all(re.fullmatch("[a-z]{3}", code) for code in codes)
    assert {primary_subtag(code) for code in codes} == two


def test_the_table_is_that_of_the_standard_where_this_machine_has_it():
    import json

    path = Path("/usr/share/iso-codes/json/iso_639-3.json")
    if not path.is_file():
        pytest.skip("Debian's iso-codes is not installed")
    for entry in json.loads(path.read_text(encoding="utf-8"))["639-3"]:
        expected = entry.get("alpha_2")
        if expected:
            assert primary_subtag(entry["alpha_3"]) == primary_subtag(entry.get("bibliographic", expected)) == expected


def test_labels_of_the_language_model_stay_what_they_are():
    for label in ("als", "sh", "bh", "no", "nn", "wuu", "bar"):
        assert primary_subtag(label) == label


def test_columns_keep_nulls_apart_from_what_is_no_language():
    tags = pa.chunked_array([["en-GB", None, "python"], ["", "kor", "und"]])
    found, no_language = primary_subtags(tags)
    assert found.to_pylist() == ["en", None, None, None, "ko", None]
    assert no_language.to_pylist() == [False, False, True, False, False, True]
    assert [len(column) for column in primary_subtags(pa.chunked_array([], pa.string()))] == [0, 0]
