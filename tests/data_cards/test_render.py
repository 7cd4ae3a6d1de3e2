"""The files of a card: one set of bytes per run, whole pages, and no markup from the data."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from huggingface_hub import DatasetCard
from markdown_it import MarkdownIt

from gristmill.data_cards.card import Card, card_text
from gristmill.data_cards.figures import FIGURES, schedule_knots
from gristmill.data_cards.gather import gather
from gristmill.data_cards.render import render, write_card
from gristmill.data_cards.sections.order import sections
from gristmill.data_cards.wording import flat

VOID = {"meta", "br"}


@pytest.fixture(scope="module")
def card(mill):
    return gather(mill.run, mill.folder)


@pytest.fixture(scope="module")
def files(card):
    return render(card)


@pytest.fixture(scope="module")
def hostile_card(hostile_mill):
    return gather(hostile_mill.run, hostile_mill.folder)


@pytest.fixture(scope="module")
def hostile_files(hostile_card):
    return render(hostile_card)


class Page(HTMLParser):
    """Tags in order, with attributes; text; and whether every tag is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_writes_every_file_and_names_them(mill, tmp_path):
    names = write_card(mill.run, mill.folder, tmp_path)
    assert names == sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert {"README.md", "card.html", "card.json", "croissant.json"} <= set(names)


def test_same_run_same_bytes(mill, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        names = write_card(mill.run, mill.folder, tmp_path / name)
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_pages_depend_on_card_json_alone(card, files):
    assert render(Card.from_json(json.loads(card_text(card.to_json())))) == files


def test_front_matter_is_read_by_the_hub(files, card):
    data = DatasetCard(files["README.md"]).data.to_dict()
    assert data["license"] == "cc0-1.0"
    assert data["language"] == ["en", "de"]
    assert data["size_categories"] == "n<1K"
    assert [config["config_name"] for config in data["configs"]] == ["books", "web"]
    assert {"split": "train", "path": "shards/web/*.arrow"} in data["configs"][1]["data_files"]
    splits = {split["name"]: split for split in data["dataset_info"][0]["splits"]}
    assert splits["train"]["num_examples"] == card.shards_by_domain["books"].rows
    assert splits["validation"]["num_bytes"] == sum(shard.bytes for shard in card.heldout["books"])


def test_readme_has_every_section_table_and_figure(files, card):
    body = files["README.md"].split("\n---\n", 1)[1]
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    headings = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    shown = sections(card)
    assert headings == ["tiny", *(section.title for section in shown)]
    tables = sum(len(section.tables) for section in shown)
    assert sum(token.type == "table_open" for token in tokens) == tables + 1  # the figures at a glance
    assert [section.figure[0] for section in shown if section.figure] == ["funnel.svg", "lengths.svg", "mixture.svg"]
    assert all(f"({name}.svg)" in body for name in FIGURES)
    assert "\n\n\n\n" not in body


def test_readme_holds_the_recipe_word_for_word(files, card):
    assert f"```toml\n{card.recipe.rstrip()}\n```" in files["README.md"]


def test_readme_numbers_are_those_of_card_json(files, card):
    for domain, shards in card.shards.items():
        for shard in shards:
            assert f"| shards/{domain}/{shard.name} | {shard.sha256} |" in files["README.md"]
    assert "32 documents (3.2 kB of text) kept from 66 records of 2 sources" in files["README.md"]


def test_html_is_closed_and_needs_nothing_from_outside(files):
    page = Page(files["card.html"])
    assert page.open == []
    assert "script" not in page.tags
    assert not any(name in ("src", "onload", "onclick") for name, _ in page.attributes)
    links = {value for name, value in page.attributes if name in ("href", "xlink:href")}
    assert all(link.startswith("#") for link in links)
    assert page.tags.count("svg") == len(FIGURES)


def test_every_table_of_the_page_scrolls_by_itself(files):
    """On a phone a wide table is scrolled, by finger or by key, and does not cut or widen the page."""
    page = files["card.html"]
    assert page.count("<table>") == len(
        re.findall(r'<div class="table" tabindex="0" role="region" aria-label="[^"]+"><table>', page)
    )
    assert ".table,figure{overflow-x:auto" in page


def test_html_shows_the_same_sections(files, card):
    page = Page(files["card.html"])
    ids = [value for name, value in page.attributes if name == "id"]
    assert [section.anchor for section in sections(card)] == [i for i in ids if i in {s.anchor for s in sections(card)}]
    assert len(ids) == len(set(ids)), "figures must not share ids on one page"


@pytest.mark.parametrize("name", list(FIGURES))
def test_figures_are_xml_without_date_or_fixed_ink(files, name):
    svg = files[f"{name}.svg"]
    assert ET.fromstring(svg).tag.endswith("svg")
    assert "currentColor" in svg
    assert not re.search(r"#0[1-6]0[1-6]0[1-6]", svg)
    assert "<dc:date>" not in svg
    assert "<dc:creator>" not in svg  # it would name the version of the library
    known = set(re.findall(r'\bid="([^"]+)"', svg))
    assert set(re.findall(r'href="#([^"]+)"', svg)) | set(re.findall(r"url\(#([^)]+)\)", svg)) <= known


def test_the_mixture_figure_follows_the_schedule(card):
    tokens, shares = schedule_knots(card)
    assert tokens == [0, 256, 256, 512]
    assert shares["web"] == [0.75, 0.75, 0.75, 0.25]


def test_hostile_text_makes_no_html(hostile_files):
    page = Page(hostile_files["card.html"])
    assert page.open == []
    assert "script" not in page.tags
    assert "i" not in page.tags
    assert any("<script>alert(1)</script>" in text for text in page.text)


def test_hostile_text_makes_no_markdown(hostile_files, hostile_card):
    body = hostile_files["README.md"].split("\n---\n", 1)[1]
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    inline = [child for token in tokens if token.type == "inline" for child in token.children or []]
    links = {child.attrs["href"] for child in inline if child.type == "link_open"}
    assert links == {"card.json", "croissant.json"}
    html = [token.content for token in tokens if token.type == "html_block"]
    html += [child.content for child in inline if child.type == "html_inline"]
    assert not any("script" in text or "<i>" in text for text in html)
    headings = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings == ["tiny", *(section.title for section in sections(hostile_card))]
    columns = [table.count("th_open") for table in _tables(tokens)]
    assert all(row == len(set_) for set_, row in zip(_header_cells(tokens), columns, strict=True))


def _tables(tokens):
    found, inside = [], None
    for token in tokens:
        if token.type == "table_open":
            inside = []
        if inside is not None:
            inside.append(token.type)
        if token.type == "table_close":
            found.append(inside)
            inside = None
    return found


def _header_cells(tokens):
    """Each table's cells of the first body row; as many as its header has when no cell was split."""
    for table in _tables(tokens):
        body = table[table.index("tbody_open") :] if "tbody_open" in table else table
        row = body[: body.index("tr_close")]
        yield [kind for kind in row if kind in ("td_open", "th_open")]


def test_hostile_text_makes_no_front_matter(hostile_files):
    data = DatasetCard(hostile_files["README.md"]).data.to_dict()
    assert data["license"] == "other"
    assert data["pretty_name"] == "tiny"


def test_hostile_text_stays_in_croissant_as_it_is_on_one_line(hostile_files, hostile_card):
    value = json.loads(hostile_files["croissant.json"])
    assert value["license"] == [{"@type": "sc:CreativeWork", "name": hostile_card.licenses[0].license}]
    assert value["creator"]["name"] == hostile_card.identity.creator


def test_every_free_text_of_a_card_is_one_line(hostile_card):
    """Names, descriptions, licences, hosts; recipe and lock alone are carried as they are."""
    value = hostile_card.to_json()
    texts = list(_texts({key: value[key] for key in value.keys() - {"recipe", "lock"}}))
    assert sum("<script>" in text for text in texts) >= 8
    assert [text for text in texts if text != flat(text)] == []


def _texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from _texts(one)


def test_card_without_training_or_heldout_still_renders(card):
    text = render(replace(card, training=None, knowledge=None, heldout={}, heldout_by_domain={}, drops=(), hosts=()))[
        "README.md"
    ]
    assert "## Training" not in text
    assert "No rule dropped a document." in text
    data = DatasetCard(text).data.to_dict()
    assert [file["split"] for file in data["configs"][0]["data_files"]] == ["train"]
