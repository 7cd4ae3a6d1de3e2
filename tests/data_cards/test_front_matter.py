"""The YAML that Hugging Face reads, for cards of every kind."""

import json
from dataclasses import replace

import pytest
from datasets import Features, load_dataset
from huggingface_hub import DatasetCard
from hypothesis import given
from hypothesis import strategies as st

from gristmill.data_cards.front_matter import SIZES, front_matter, size_category
from gristmill.data_cards.gather import gather
from gristmill.data_cards.parts.profile import LanguageRow, LicenceRow
from gristmill.data_cards.render import render_readme


@pytest.fixture(scope="module")
def card(mill):
    return gather(mill.run, mill.folder)


def parsed(card):
    return DatasetCard(f"---\n{front_matter(card)}---\n\n# x\n").data.to_dict()


def with_licences(card, *names):
    return replace(card, licenses=tuple(LicenceRow("web", name, 1, 1, 1) for name in names))


@pytest.mark.parametrize(
    ("licences", "shown"),
    [
        (["MIT"], "mit"),
        (["CC0-1.0"], "cc0-1.0"),
        (["MIT", "CC0-1.0"], "other"),
        (["my own"], "other"),
        ([None], "other"),
    ],
)
def test_one_known_licence_is_named_and_anything_else_is_other(card, licences, shown):
    assert parsed(with_licences(card, *licences))["license"] == shown


def test_another_licence_says_where_to_look(card):
    data = parsed(with_licences(card, "MIT", None))
    assert data["license_name"]
    assert data["license_link"] == "README.md#sources"


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_of_the_data_breaks_the_yaml(card, name, lang):
    data = parsed(replace(with_licences(card, name), languages=(LanguageRow(lang, 1, 1, 1),)))
    assert set(data) - {"language", "license_name", "license_link"} == set(parsed(card)) - {"language"}
    assert data["pretty_name"] == "tiny"
    assert all(len(code) in (2, 3) for code in data.get("language", []))


@given(st.integers(0, 10**13))
def test_size_category_holds_the_number(rows):
    bounds = [0, *(limit for limit, _ in SIZES), 10**30]
    names = [name for _, name in SIZES] + ["100B<n<1T"]
    at = names.index(size_category(rows))
    assert rows >= bounds[at]
    assert rows < bounds[at + 1] or at == len(SIZES) - 1


def test_features_are_those_of_the_shards(card):
    from gristmill.corpus.schema import rows_schema, token_type

    info = parsed(card)["dataset_info"][0]
    stored = Features.from_arrow_schema(rows_schema(16, token_type(300)))
    assert json.loads(json.dumps(info["features"])) == stored._to_yaml_list()


def test_the_published_folder_opens_as_a_dataset(mill, card, tmp_path):
    import shutil

    for stage in ("shards", "heldout"):
        shutil.copytree(mill.run.path / stage, tmp_path / "published" / stage)
    (tmp_path / "published" / "README.md").write_text(render_readme(card))
    rows = load_dataset(str(tmp_path / "published"), "web", cache_dir=str(tmp_path / "cache"))
    assert {split: len(part) for split, part in rows.items()} == {"train": 9, "validation": 1}
    assert rows["train"][0]["tokens"] == [5] * 16
    assert rows["train"][8]["documents"][0]["doc_id"] == f"{8:032x}"
