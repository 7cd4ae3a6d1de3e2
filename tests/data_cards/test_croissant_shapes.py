"""What the Croissant specification asks of each class, every card keeps; a breach is named with its section."""

import json

import pytest

from gristmill.data_cards.croissant import croissant
from gristmill.data_cards.croissant_check import shape_mistakes
from gristmill.data_cards.gather import gather


@pytest.fixture(scope="module")
def text(mill):
    return json.dumps(croissant(gather(mill.run, mill.folder), "A corpus."))


@pytest.mark.parametrize("name", ["mill", "rich_mill", "hostile_mill"])
def test_every_card_keeps_the_constraints(request, name):
    made = request.getfixturevalue(name)
    assert list(shape_mistakes(croissant(gather(made.run, made.folder), "A corpus."))) == []


def rows(value):
    return value["recordSet"][0]["field"]


BROKEN = {
    "@type is not sc:Dataset (Croissant 1.1, Dataset-level": lambda v: v.update({"@type": "sc:Thing"}),
    "conformsTo does not name http://mlcommons.org/croissant/1.1": lambda v: v.update(conformsTo=["http://x.org/"]),
    "url is no address": lambda v: v.update(url="not an address"),
    "license[0] is no address and no work": lambda v: v.update(license=["CC0"]),
    "creator is no agent": lambda v: v.update(creator="Ada"),
    "datePublished is no date": lambda v: v.update(datePublished="May"),
    "isLiveDataset is no truth": lambda v: v.update(isLiveDataset="no"),
    "version has several values": lambda v: v.update(version=["1", "2"]),
    "distrbution is no property there": lambda v: v.update(distrbution=v.pop("distribution")),
    "distribution is missing": lambda v: v.pop("distribution"),
    "[0].sha256 is no sha256 (Croissant 1.1, FileObject)": lambda v: v["distribution"][0].update(sha256="a"),
    "distribution[0].contentSize is no size": lambda v: v["distribution"][0].update(contentSize="big"),
    "distribution[0].encodingFormat is missing": lambda v: v["distribution"][0].pop("encodingFormat"),
    "distribution[0].contentUrl is no place": lambda v: v["distribution"][0].update(contentUrl="a b"),
    "distribution[1] is no cr:FileObject": lambda v: v["distribution"][1].update({"@type": "cr:File"}),
    "is given twice (Croissant 1.1, ID": lambda v: v["distribution"].append(v["distribution"][0]),
    "nothing has the @id rows/books.jsonl": lambda v: v.update(
        distribution=[one for one in v["distribution"] if one["@id"] != "rows/books.jsonl"]
    ),
    "recordSet[0].field is missing (Croissant 1.1, RecordSet)": lambda v: v["recordSet"][0].pop("field"),
    "recordSet[0].field[0].dataType[0] is no type": lambda v: rows(v)[0].update(dataType=["text"]),
    "recordSet[0].field[0] needs exactly one of dataType, subField": lambda v: rows(v)[0].pop("dataType"),
    "recordSet[0].field[0].source needs exactly one of fileObject": lambda v: rows(v)[0]["source"].pop("fileObject"),
    "source.extract needs exactly one of column": lambda v: rows(v)[0]["source"]["extract"].update(jsonPath="a"),
    "rows-books/tokens.arrayShape needs isArray": lambda v: rows(v)[0].pop("isArray"),
    "other/tokens does not begin with rows-books/": lambda v: rows(v)[0].update({"@id": "other/tokens"}),
    "domains.data[0] does not have the fields": lambda v: v["recordSet"][-1]["data"][0].pop("domains/rows"),
    "domains.key is the same in two records": lambda v: [
        one.update({"domains/domain": "web"}) for one in v["recordSet"][-1]["data"]
    ],
}


@pytest.mark.parametrize("problem", BROKEN)
def test_a_breach_is_named_with_its_section(text, problem):
    value = json.loads(text)
    BROKEN[problem](value)
    found = list(shape_mistakes(value))
    assert any(problem in one for one in found), found
    assert all("(Croissant 1.1, " in one for one in found)


@pytest.mark.parametrize("field", ["creator", "distribution", "recordSet", "license", "@context", "keywords"])
@pytest.mark.parametrize("rubbish", [3, "x", [], [[]], {}, [None], {"@id": 3}, [{"field": 1, "data": {"a": []}}]])
def test_rubbish_is_a_mistake_and_no_traceback(text, field, rubbish):
    assert all(isinstance(one, str) for one in shape_mistakes(json.loads(text) | {field: rubbish}))
