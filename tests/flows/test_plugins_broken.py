"""Broken plug-ins: one message each, which names plug-in, stage and, where it can, the document; nothing is written."""

import re
import sys
from pathlib import Path

import pytest

from gristmill.corpus.errors import RecipeError, StageError
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.explain import explain_document
from gristmill.flows.pipeline.dry_run import plan_run

HEAD = """
import numpy as np
import pyarrow as pa

from gristmill.corpus.errors import SchemaError
from gristmill.corpus.recipe_values import Section
from gristmill.corpus.schema import SPAN
from gristmill.corpus.span_tables import spans_column
from gristmill.corpus.stage import CorpusStage, Label, Measured, PartStage, SideTable, Signal


def spans_at(batch, *spans):
    return spans_column(batch.num_rows, np.array(spans, np.int64).reshape(-1, 4), ["cut:it"])


def inside(batch, place):
    return batch["text"][place].as_py().encode().index(b"\\xa9")  # the second byte of an e with an accent


def unexplained(batch, at):
    found = [[{"start": 0, "end": 2}] if place in at else [] for place in range(batch.num_rows)]
    return pa.array(found, pa.list_(SPAN))
"""
SIGNAL = """
MINE = PartStage(
    name="mine", version="1", measure=":measure", table="mine.parquet",
    signals=(Signal("mine_share", "share", 0, 1, "a share"),),
)


def measure(batch, options, state):
    values = np.full(batch.num_rows, 0.5)
    last = [place for place, text in enumerate(batch["text"].to_pylist()) if text.startswith("Note {at} ")]
    {body}
    return Measured({{"mine_share": pa.array(values)}})
"""
SPANS = """
MINE = PartStage(name="mine", version="1", measure=":measure", spans=True)


def measure(batch, options, state):
    at = [place for place, text in enumerate(batch["text"].to_pylist()) if text.startswith("Note 58 ")]
    return Measured(spans={spans})
"""
ODD = """
    if last:
        {what}"""


def signal(body: str, at: int = 58) -> str:
    return HEAD + SIGNAL.format(body=body, at=at)


def at_last(what: str) -> str:
    return signal(ODD.format(what=what).strip())


MEASURED = {
    "raises at the first": (
        signal('if last:\n        raise KeyError("it")', at=0),
        "measuring document {n0} in stage 'mine': KeyError",
    ),
    "raises at the last": (
        at_last('raise ValueError("no such mark")'),
        "{n58} in stage 'mine': ValueError: no such mark",
    ),
    "raises one of ours": (at_last('raise SchemaError("no column")'), "{n58} in stage 'mine': SchemaError: no column"),
    "divides by zero": (at_last("1 / 0"), "measuring document {n58} in stage 'mine': ZeroDivisionError"),
    "leaves": (at_last("raise SystemExit(3)"), "measuring document {n58} in stage 'mine': SystemExit: 3"),
    "asserts": (at_last("assert False"), "measuring document {n58} in stage 'mine': AssertionError"),
    "too short": (
        at_last("values = values[1:]"),
        "stage 'mine' (version 1): mine_share has 29 values for 30 documents",
    ),
    "nan": (at_last("values[last] = np.nan"), "mine_share is nan for document {n58}, declared 0 to 1"),
    "infinite": (at_last("values[last] = np.inf"), "mine_share is inf for document {n58}, declared 0 to 1"),
    "outside its range": (at_last("values[last] = 1.5"), "mine_share is 1.5 for document {n58}, declared 0 to 1"),
    "text": (at_last("values = [str(value) for value in values]"), "mine_share is string, expected double"),
    "another order": (
        at_last('return Measured({"mine_share": pa.array(values), "doc_id": batch["doc_id"][::-1]})'),
        "its columns name the documents in another order",
    ),
    "a missing column": (at_last("return Measured()"), "it declares mine_share; missing: mine_share, more: none"),
    "a further column": (
        at_last('return Measured({"mine_share": pa.array(values), "yours": pa.array(values)})'),
        "missing: none, more: yours",
    ),
    "nothing": (at_last("return None"), "it returned nothing, expected Measured"),
    "spans that it does not declare": (
        at_last('return Measured({"mine_share": pa.array(values)}, spans_at(batch))'),
        "it gives spans, which it does not declare",
    ),
    "no such module": (signal("pass").replace('":measure"', '"not_there:f"'), "for 'not_there:f' of stage 'mine': Mod"),
    "prepare fails": (
        signal("pass").replace("table=", 'prepare=":ready", table=') + "\n\ndef ready(options, files):\n    1 / 0\n",
        "preparing stage 'mine': ZeroDivisionError",
    ),
    "facts that are no JSON": (
        signal('return Measured({"mine_share": pa.array(values)}, facts=Facts(np.int64(3)))')
        .replace("table=", "facts=Facts, table=")
        .replace(
            "MINE =", "from dataclasses import dataclass\n\n\n@dataclass\nclass Facts:\n    n: object\n\n\nMINE ="
        ),
        "adding up the facts of stage 'mine': TypeError",
    ),
    "spans that overlap": (
        HEAD + SPANS.format(spans="spans_at(batch, *[(place, a, a + 4, 0) for place in at for a in (0, 3)])"),
        "the span [3, 7) of document {n58}",
    ),
    "a split character": (
        HEAD + SPANS.format(spans="spans_at(batch, *[(place, 0, inside(batch, place), 0) for place in at])"),
        "of document {n58} (",
    ),
    "outside the text": (
        HEAD + SPANS.format(spans="spans_at(batch, *[(place, 0, 5000, 0) for place in at])"),
        "the span [0, 5000) of document {n58}",
    ),
    "a null reason": (
        HEAD + SPANS.format(spans="unexplained(batch, at)"),
        "the span [0, 2) of document {n58}",
    ),
    "no spans": (HEAD + SPANS.format(spans="None"), "it declares spans and gives nothing"),
}


def one_part(recipe: Path) -> Path:
    """The recipe with the even notes alone."""
    text = recipe.read_text()
    begin = text.index('[[sources]]\nname = "odd"')
    end = text.index('domain = "notes"\n', begin) + len('domain = "notes"\n')
    recipe.write_text(text[:begin] + text[end:])
    return recipe


@pytest.fixture(scope="module")
def shared(tmp_path_factory, write_notes):
    """A folder whose store has the documents already."""
    folder = tmp_path_factory.mktemp("broken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        refine_directly(one_part(write_notes(folder, {})), until="signatures")
        yield folder


@pytest.mark.parametrize(("code", "told"), MEASURED.values(), ids=MEASURED)
def test_a_stage_that_breaks_its_word(shared, write_notes, code, told):
    told = re.sub(r"\{(n\d+)\}", lambda found: _own_id(shared, found[1]), told)
    with pytest.raises(StageError) as error:
        refine_directly(one_part(write_notes(shared, {"broken.py": code})), until="mine")
    text = str(error.value)
    assert told in text
    assert text.startswith("plug-in 'broken'")
    assert "'mine'" in text
    assert "\n" not in text
    left = [path for path in (shared / "home").rglob("*") if path.is_file() and "mine" in str(path.relative_to(shared))]
    assert left == []


def _own_id(folder: Path, name: str) -> str:
    run = next((folder / "home" / "runs" / "notes").glob("*/manifests/signatures.json")).parents[1]
    return explain_document(run, name)["doc_id"]


def test_a_failure_in_the_last_part_leaves_no_manifest(home, tmp_path, write_notes):
    code = signal("if last:\n        values[last] = 7", at=59)
    with pytest.raises(StageError, match=r"mine_share is 7.0 for document"):
        refine_directly(write_notes(tmp_path, {"broken.py": code}), until="decide", workers=1)
    manifests = {path.stem for path in home.rglob("manifests/*.json")}
    assert manifests == {"documents"}
    entries = list((home / "store" / "mine").iterdir())
    assert len(entries) <= 1  # of the other part, which is good
    assert not [entry for entry in entries if entry.name.startswith(".")]
    with pytest.raises(StageError, match=r"mine_share is 7.0 for document"):
        refine_directly(write_notes(tmp_path, {"broken.py": code}), until="decide")


STAGE = 'PartStage(name="mine", version="1", measure=":measure", table="mine.parquet", signals=(SIGNAL,))'
ONE = (
    HEAD
    + "\n\ndef measure(batch, options, state):\n    pass\n\n\n"
    + 'SIGNAL = Signal("mine_share", "share", 0, 1, "a share")\n'
)
DECLARED = {
    "a syntax error": ("def f(:\n", "plug-in 'broken' failed while loading it: SyntaxError"),
    "an import that fails": (
        "import not_there_at_all\n",
        "loading it: ModuleNotFoundError: No module named 'not_there",
    ),
    "no such function": (
        (ONE + f"M = {STAGE}\n").replace("def measure", "def measures"),
        "looking for ':measure' of stage 'mine': AttributeError",
    ),
    "a failure": ("raise RuntimeError('not today')\n", "loading it: RuntimeError: not today"),
    "an exit": ("import sys\nsys.exit()\n", "loading it: SystemExit"),
    "nothing": ("X = 1\n", "plug-in 'broken' declares no stage"),
    "nothing but an import": ("from gristmill.filters.pii.stage import PII\n", "plug-in 'broken' declares no stage"),
    "a corpus stage": (HEAD + 'S = CorpusStage(name="s", version="1", run="x:y")\n', "declares the CorpusStage 's'"),
    "our stage": (ONE + f"M = {STAGE}\n".replace('"mine"', '"pii"'), "stage 'pii': the mill has a stage of this name"),
    "our signal": (ONE.replace("mine_share", "words") + f"M = {STAGE}\n", "the mill measures a signal 'words' already"),
    "our section": (ONE + f"M = {STAGE[:-1]}, key='decide', section=Section)\n", "the mill has a section [decide]"),
    "our signal of a section": (
        ONE.replace("mine_share", "zstd_ratio") + f"M = {STAGE}\n",
        "the mill measures a signal 'zstd_ratio' already",
    ),
    "a column of documents": (
        ONE.replace("mine_share", "domain") + f"M = {STAGE}\n",
        "'domain' is a column of the doc",
    ),
    "a name with a dot": (
        ONE.replace("mine_share", "mine.share") + f"M = {STAGE}\n",
        "'mine.share' is no name of a sig",
    ),
    "a name that leads out": (ONE + f"M = {STAGE}\n".replace('"mine"', '"../mine"'), "its name is not letters, digits"),
    "a file that leads out": (
        ONE + f"M = {STAGE}\n".replace("mine.p", "../mine.p"),
        "'../mine.parquet' is no name for",
    ),
    "our file": (
        ONE + f"M = {STAGE}\n".replace("mine.parquet", "spans.parquet"),
        "'spans.parquet' is no name for a tab",
    ),
    "a signal twice": (
        ONE + f"M = {STAGE.replace('(SIGNAL,)', '(SIGNAL, SIGNAL)')}\n",
        "it declares 'mine_share' twice",
    ),
    "a range without values": (
        ONE.replace("0, 1", "1, 0") + f"M = {STAGE}\n",
        "is declared from 1 to 0, which no value",
    ),
    "a range that is none": (ONE.replace("0, 1", "0, float('nan')") + f"M = {STAGE}\n", "is declared from 0 to nan"),
    "no table": (
        ONE + f"M = {STAGE}\n".replace('table="mine.parquet", ', ""),
        'names no table; write table="mine.parq',
    ),
    "no signal": (ONE + f"M = {STAGE}\n".replace("(SIGNAL,)", "()"), "it names a table but no signal and no label"),
    "signals that are no tuple": (ONE + f"M = {STAGE}\n".replace("(SIGNAL,)", "SIGNAL"), "looking at what it declares"),
    "a stage that reads another": (ONE + f"M = {STAGE[:-1]}, reads=('decide',))\n", "reads the documents alone"),
    "a column that is none": (ONE + f"M = {STAGE[:-1]}, columns=('txt',))\n", "it reads 'txt'; documents have doc_id"),
    "measure that is no reference": (
        ONE + f"M = {STAGE}\n".replace('":measure"', "len"),
        'measure is no "module:funct',
    ),
    "a section that is none": (ONE + f"M = {STAGE[:-1]}, section=dict)\n", "its section is no class that derives from"),
    "a set, whose order is another in every process": (
        ONE + f"class Own(Section):\n    names: dict[str, frozenset[str]] = {{}}\n\n\nM = {STAGE[:-1]}, section=Own)\n",
        "its section has a set, which no two processes",
    ),
    "facts that are none": (ONE + f"M = {STAGE[:-1]}, facts=dict)\n", "its facts are no dataclass"),
    "an extra": (ONE + f"M = {STAGE[:-1]}, extra='train')\n", "extra names an extra of the mill"),
    "no libraries": (ONE + f"M = {STAGE[:-1]}, libraries=':none')\n", "looking for ':none' of stage 'mine'"),
    "no schema": (
        ONE + f"M = {STAGE[:-1]}, tables=(SideTable('x.parquet', ':none'),))\n",
        "looking for ':none' of stage 'mine'",
    ),
    "a version that is none": (ONE + f"M = {STAGE}\n".replace('version="1"', "version=1"), 'write version="1"'),
}


@pytest.mark.parametrize(("code", "told"), DECLARED.values(), ids=DECLARED)
def test_a_plug_in_that_cannot_be_taken(home, tmp_path, write_notes, code, told):
    recipe = write_notes(tmp_path, {"broken.py": code}, "[mine_own]\nsigns = 3\n[decide.rules]\nmine_share.at_most = 1")
    for run in (refine_directly, plan_run):
        with pytest.raises(RecipeError) as error:
            run(recipe)
        text = str(error.value)
        assert ": 1 mistake\n  plugins.0: " in text, text
        assert told in text, text
        assert "broken" in text
        assert len(text.splitlines()) == 2, text
    assert not home.exists()


def test_an_error_of_a_section_and_of_its_functions_names_the_plug_in(home, tmp_path, write_notes):
    section = "class Own(Section):\n    n: int\n\n\ndef files(own):\n    return {'list': [f'{1 / own.n}']}\n\n\n"
    code = ONE + section + f"M = {STAGE[:-1]}, section=Own, artefacts=files)\n"
    with pytest.raises(StageError, match=r"plug-in 'broken' failed while calling artefacts of stage 'mine': ZeroDiv"):
        refine_directly(write_notes(tmp_path, {"broken.py": code}, "[mine]\nn = 0"))
    with pytest.raises(RecipeError, match=r"1 mistake\n  mine\.n: Input should be a valid integer"):
        refine_directly(write_notes(tmp_path, {"broken.py": code}, '[mine]\nn = "many"'))


def test_files_that_cannot_be_read(home, tmp_path, write_notes):
    recipe = write_notes(
        tmp_path, {}, plugins=["./nowhere.py", "./latin.py", "no_such_module", "", "gristmill.corpus", "./"]
    )
    (tmp_path / "latin.py").write_bytes("# caf\u00e9\n".encode("latin-1"))
    with pytest.raises(RecipeError) as error:
        refine_directly(recipe)
    text = str(error.value)
    for part in (
        "6 mistakes",
        "plugins.0: cannot load './nowhere.py': no file at",
        "plugins.1: cannot load './latin.py': 'utf-8' codec can't decode",
        "plugins.2: cannot load 'no_such_module': no module 'no_such_module' is installed",
        "plugins.3: cannot load '': no module '' is installed",
        "plugins.4: cannot load 'gristmill.corpus': 'gristmill.corpus' is the mill's own",
        "plugins.5: cannot load './'",
    ):
        assert part in text, text
    assert not home.exists()


@pytest.mark.parametrize(("value", "told"), [("[3]", "plugins.0"), ('"./a.py"', "plugins: "), ("[['a']]", "plugins.0")])
def test_entries_that_are_no_text(home, tmp_path, write_notes, value, told):
    recipe = write_notes(tmp_path, {})
    recipe.write_text(recipe.read_text().replace("plugins = []", f"plugins = {value}"))
    with pytest.raises(RecipeError, match=rf": 1 mistake\n  {told}"):
        refine_directly(recipe)


def test_two_plug_ins_of_one_name_stage_signal_or_section(home, tmp_path, write_notes):
    good = ONE + f"M = {STAGE}\n"
    other = good.replace('name="mine"', 'name="other"').replace("mine_share", "other_share")
    files = {"one.py": good, "deep/one.py": other}
    with pytest.raises(RecipeError, match=r"1 mistake\n  plugins\.1: two plug-ins have the name 'one'"):
        refine_directly(write_notes(tmp_path, files))
    with pytest.raises(RecipeError, match=r"1 mistake\n  plugins\.1: two plug-ins have the name 'one'"):
        refine_directly(write_notes(tmp_path, {"one.py": good}, plugins=["./one.py", "one.py"]))
    with pytest.raises(
        RecipeError, match=r"plugins\.1: plug-in 'two', stage 'mine': plug-in 'one' has a stage of this"
    ):
        refine_directly(write_notes(tmp_path, {"one.py": good, "two.py": other.replace('"other"', '"mine"')}))
    with pytest.raises(RecipeError, match=r"plugins\.1: plug-in 'two', stage 'other': plug-in 'one' measures a signal"):
        refine_directly(write_notes(tmp_path, {"one.py": good, "two.py": other.replace("other_share", "mine_share")}))
    ours = good.replace("signals=", "section=Section, key='own', signals=")
    with pytest.raises(RecipeError, match=r"plug-in 'one' has a section \[own\] already"):
        refine_directly(
            write_notes(
                tmp_path, {"one.py": ours, "two.py": other.replace("signals=", "section=Section, key='own', signals=")}
            )
        )


EACH = """

class Own(Section):
    name: str = "a"


def chosen(own):
    return [Signal({signal}, "share", 0, 1, "")]


EACH = PartStage(
    name="each", version="1", each=True, section=Own, measure=":measure", table="each.parquet", chosen=chosen
)


def measure(batch, own, state):
    return Measured({{f"share_{{own.name}}": pa.array([0.5] * batch.num_rows)}})
"""


def test_a_stage_that_runs_once_for_each_section(home, tmp_path, write_notes):
    files = {"each.py": HEAD + EACH.format(signal='f"share_{own.name}"')}
    two = '[[each]]\nname = "a"\n[[each]]\nname = "b"\n[decide.rules]\nshare_b.at_most = 0.6'
    result = refine_directly(write_notes(tmp_path, files, two), until="decide")
    assert {"each-a", "each-b"} <= set(result["stages"])
    with pytest.raises(RecipeError, match=r"unknown rule or signal 'share_c'; did you mean 'share_[ab]'"):
        refine_directly(write_notes(tmp_path, files, two.replace("share_b.", "share_c.")))
    for names, signal, told in (
        ("aa", 'f"share_{own.name}"', "two stages have the name 'each-a'"),
        ("ab", '"share"', "stage 'each-b' measures 'share', which 'each-a' measures already"),
        ("ab", '"words"', "stage 'each-a' measures 'words', which 'signals' measures already"),
        ("ab", '"a.b"', "stage 'each-a' measures 'a.b', which is no name for a signal"),
        (["a/../b"], 'f"share_{own.name}"', "'each-a/../b' is no name of a stage"),
    ):
        sections = "".join(f'[[each]]\nname = "{name}"\n' for name in names)
        with pytest.raises(RecipeError) as error:
            refine_directly(write_notes(tmp_path, {"each.py": HEAD + EACH.format(signal=signal)}, sections))
        assert told in str(error.value)


def test_a_section_of_a_plug_in_that_failed_hides_no_other_mistake(home, tmp_path, write_notes):
    extra = "[own]\nx = 1\n[decid]\nprofiles = []\n[decide.rules]\nwords.at_least = 9\nwords.at_most = 1"
    with pytest.raises(RecipeError) as error:
        refine_directly(write_notes(tmp_path, {"broken.py": "1 / 0\n"}, extra))
    text = str(error.value)
    assert "3 mistakes" in text
    assert "plugins.0: cannot load './broken.py': plug-in 'broken' failed while loading it: ZeroDivisionError" in text
    assert "decid: unknown key; did you mean 'decide'?" in text
    assert "decide.rules.words.at_least: 9 is above at_most 1" in text


def test_a_byte_order_mark_and_windows_lines_do_no_harm(home, tmp_path, write_notes):
    code = signal("pass").replace("\n", "\r\n")
    recipe = write_notes(tmp_path, {"broken.py": ""})
    data = b"\xef\xbb\xbf" + code.encode()
    (tmp_path / "broken.py").write_bytes(data)
    run = Path(refine_directly(recipe, until="mine")["run"])
    assert (run / "plugins" / "broken.py").read_bytes() == data
    assert not [name for name in sys.modules if name.startswith("broken")]
