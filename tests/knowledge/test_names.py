import polars as pl
import pytest

from gristmill.knowledge.graph import load_graph
from gristmill.knowledge.names import COMMON_SHARE, small_shares


def names_of(folder, **options):
    """{name: {entity: doubtful}}"""
    graph = load_graph(folder, **options)
    found = {}
    for i, name in enumerate(graph.names.to_pylist()):
        span = slice(graph.candidate_offsets[i], graph.candidate_offsets[i + 1])
        ids = graph.ids.take(graph.candidates[span]).to_pylist()
        found[name] = dict(zip(ids, graph.doubtful[span].tolist(), strict=True))
    return found


def test_labels_and_aliases_lead_to_their_entities(write_graph):
    folder = write_graph([("a", "Victoria", {"aliases": ["Queen Victoria"]}), ("b", "Victoria")])
    assert names_of(folder) == {"Queen Victoria": {"a": False}, "Victoria": {"a": False, "b": False}}


def test_classes_are_not_looked_for(write_graph):
    assert names_of(write_graph([("a", "City", {"type": "class"}), ("b", "Paris")])) == {"Paris": {"b": False}}


def test_an_entity_without_a_type_is_looked_for(write_graph):
    assert names_of(write_graph([("b", "Paris", {"type": None})])) == {"Paris": {"b": False}}


@pytest.mark.parametrize(
    ("label", "kept"),
    [
        ("Ulm", False),
        ("Fiji", True),
        ("法国", True),
        ("法", False),
        ("タイ", True),
        ("world", False),
        ("evening star", True),
        ("мир", False),
        ("Русь", True),
        ("1984", False),
        ("مصر القديمة", True),
    ],
)
def test_what_is_long_enough_and_a_proper_name(write_graph, label, kept):
    assert (label in names_of(write_graph([("a", label), ("z", "Zanzibar")]))) is kept


def test_languages_choose_labels_and_not_entities(write_graph):
    folder = write_graph([("fr", "France"), ("fr", "Frankreich", {"lang": "de"}), ("pl", "Poland")])
    assert list(names_of(folder, languages=["de"])) == ["Frankreich"]
    assert load_graph(folder, languages=["de"]).n_entities == 2


def test_common_words_are_doubtful(write_graph):
    entities = [("r", "Reading", {"description": "a town"}), ("b", "Book", {"description": "reading matter"})]
    assert names_of(write_graph(entities)) == {"Book": {"b": False}, "Reading": {"r": True}}


def test_a_rare_small_letter_does_not_make_a_common_word():
    for n, is_common in ((8, True), (10, False)):
        (row,) = small_shares(pl.Series(["china", *["China"] * n])).rows()
        assert (row[0], row[1] >= COMMON_SHARE) == ("china", is_common)
    assert small_shares(pl.Series([None, ""], dtype=pl.String)).is_empty()


def test_surnames_are_doubtful_and_own_labels_are_not(write_graph):
    entities = [("v", "Vanessa Bell", {"aliases": ["Bell", "Vanessa Stephen"]}), ("m", "Bell")]
    assert names_of(write_graph(entities)) == {
        "Bell": {"m": False, "v": True},
        "Vanessa Bell": {"v": False},
        "Vanessa Stephen": {"v": False},
    }


def test_given_names_of_three_persons_are_doubtful(write_graph):
    persons = [(f"p{i}", f"John {name}", {"type": "person"}) for i, name in enumerate(["Keats", "Locke", "Milton"])]
    assert names_of(write_graph([*persons, ("j", "John")]))["John"] == {"j": True}
    assert names_of(write_graph([*persons[:2], ("j", "John")]))["John"] == {"j": False}


def test_labels_are_normalised(write_graph):
    assert names_of(write_graph([("o", "  O\u0308sterreich ")])) == {
        "Österreich": {"o": False},
        "ÖSTERREICH": {"o": True},
    }


def test_names_that_graphs_do_not_list(write_graph):
    entities = [("w", "Andy Warhol", {"type": "person"}), ("n", "NATO"), ("r", "Россия"), ("a", "Andy Town")]
    found = names_of(write_graph(entities))
    assert found.keys() == {"Andy Warhol", "Warhol", "NATO", "ＮＡＴＯ", "Россия", "РОССИЯ", "Andy Town"}
    assert [found[name] for name in ("Warhol", "ＮＡＴＯ", "РОССИЯ")] == [{"w": True}, {"n": False}, {"r": True}]
