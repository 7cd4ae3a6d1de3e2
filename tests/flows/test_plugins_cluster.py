"""Plug-ins on a Dask cluster whose workers start in another folder and have no file of the recipe's."""

import os
import sys
from pathlib import Path

import pytest

from gristmill.corpus.errors import SourceError, StageError
from gristmill.flows.direct import refine_directly

HEAD = """
import os

import pyarrow as pa

from gristmill.corpus.recipe_values import Section
from gristmill.corpus.stage import Measured, PartStage, Signal

"""
MARKS = """

class Marks(Section):
    signs: str


class OwnError(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


MARKS = PartStage(
    name="marks", version="1", measure=":measure", prepare=":read", table="marks.parquet", section=Marks,
    artefacts=lambda marks: {"signs": [marks.signs]}, signals=(Signal("marks", "marks", 0, None, "listed signs"),),
)


def read(marks, artefacts):
    (path,) = artefacts["signs"]
    return path.read_text().split()


def measure(batch, marks, signs):
    assert os.getpid() != MILL or "here" in signs, "measured in the mill's own process"
    if "fail" in signs and batch.num_rows:
        raise OwnError("this", "that")
    return Measured({"marks": pa.array([float(sum(map(text.count, signs))) for text in batch["text"].to_pylist()])})
"""
STANZAS = """
from gristmill.sources.reader import Reader, Record

STANZAS = Reader("stanzas", (".stanzas",), "1", ":read")


def read(file, source, limits):
    with file.open() as stream:
        for number, stanza in enumerate(stream.read().decode().split("\\n\\n")):
            yield Record(stanza, str(number))
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler and two worker processes that were started in a folder of their own."""
    from distributed import LocalCluster

    away = tmp_path_factory.mktemp("away")
    before = Path.cwd()
    paths = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    os.chdir(away)
    try:
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as started:
            os.chdir(before)
            yield started
    finally:
        os.chdir(before)
        os.environ.pop("PYTHONPATH") if paths is None else os.environ.update(PYTHONPATH=paths)


@pytest.fixture
def milled(tmp_path, write_notes, monkeypatch):
    """A function that mills the notes from a folder of its own, whose files it names by paths relative to it."""
    monkeypatch.setenv("GRISTMILL_HOME", "relative_home")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # of this process alone

    def mill(signs: str, cluster=None):
        (tmp_path / "signs.txt").write_text(signs)
        engine = f'[engine]\naddress = "{cluster.scheduler_address}"\n' if cluster else ""
        code = HEAD + f"MILL = {os.getpid()}\n" + MARKS
        recipe = write_notes(tmp_path, {"marks.py": code}, f'[marks]\nsigns = "signs.txt"\n{engine}')
        return refine_directly(Path(recipe.name), until="decide")

    return mill


@pytest.mark.filterwarnings("ignore")  # distributed warns about its own shutdown
def test_workers_elsewhere_run_the_file_of_the_recipe(cluster, milled, tmp_path):
    assert {str(path) for path in cluster_folders(cluster)}.isdisjoint({str(tmp_path)})
    result = milled("! ?", cluster)
    assert result["stages"]["marks"]["computed"] == 2
    again = milled("! ?")
    assert again["run"] == result["run"]
    costs = {"seconds": 0, "cpu_seconds": 0}
    assert again["stages"]["marks"] | costs == result["stages"]["marks"] | costs | {"computed": 0, "reused": 2}
    here = milled("! ? here")
    assert here["run"] != result["run"]
    with pytest.raises(StageError, match="measured in the mill's own process"):
        milled("! ; ?")


def cluster_folders(cluster) -> set[str]:
    from distributed import Client

    with Client(cluster.scheduler_address, set_as_default=False) as client:
        found = client.run(os.getcwd)
        assert not any(client.run(_has_module, "marks").values())
    return set(found.values())


def _has_module(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


@pytest.mark.filterwarnings("ignore")
def test_a_failure_on_a_worker_is_one_message(cluster, milled, tmp_path):
    with pytest.raises(StageError) as error:
        milled("fail", cluster)
    assert str(error.value).startswith("plug-in 'marks' failed while measuring document ")
    assert str(error.value).endswith("in stage 'marks': OwnError: this and that (marks.py, line 35)")
    assert not list((tmp_path / "relative_home" / "store" / "marks").glob("*"))


@pytest.mark.filterwarnings("ignore")
def test_a_package_must_be_the_same_on_every_worker(cluster, tmp_path, write_notes, home, monkeypatch):
    site = tmp_path / "site"
    (site / "gristmill_test_cluster").mkdir(parents=True)
    code = HEAD + "MILL = 0\n" + MARKS
    (site / "gristmill_test_cluster" / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(str(site))
    (tmp_path / "signs.txt").write_text("!")
    extra = f'[marks]\nsigns = "{tmp_path}/signs.txt"\n[engine]\naddress = "{cluster.scheduler_address}"\n'
    recipe = write_notes(tmp_path, {}, extra, ["gristmill_test_cluster"])
    with pytest.raises(
        StageError, match=r"plug-in 'gristmill_test_cluster' failed while .*no module 'gristmill_test_cl"
    ):
        refine_directly(recipe, until="marks")
    sys.modules.pop("gristmill_test_cluster", None)


@pytest.mark.filterwarnings("ignore")
def test_a_reader_of_the_recipe_reads_on_workers_elsewhere(cluster, tmp_path, write_notes, home):
    (tmp_path / "all.stanzas").write_text("The first.\n\nThe second.\n\nThe third.")
    source = f'[[sources]]\nname = "poems"\npath = "{tmp_path}/all.stanzas"\ndomain = "notes"\n'
    extra = f'{source}[engine]\naddress = "{cluster.scheduler_address}"\n'
    result = refine_directly(write_notes(tmp_path, {"stanzas.py": STANZAS}, extra), until="documents")
    assert result["stages"]["documents"]["documents_out"] == 63
    broken = STANZAS.replace("yield Record", "raise KeyError(number)\n            yield Record")
    with pytest.raises(SourceError, match=r"reader 'stanzas' .* raised KeyError: 0, in .*all\.stanzas"):
        refine_directly(write_notes(tmp_path, {"stanzas.py": broken}, extra), until="documents")
