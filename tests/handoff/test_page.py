"""The loops of docs/concepts/handoff.md run as they stand, each with libraries that are installed."""

import re
from importlib.util import find_spec

import pytest

from gristmill.corpus._rooms import HOUSE

PAGE = (HOUSE / "docs" / "concepts" / "handoff.md").read_text()
BLOCKS = dict(re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
STORE = "Rows in an object store"
NAMES = ("A loop of your own", "torch's DataLoader", STORE, "transformers", "torchtitan", "datasets and JAX")


@pytest.mark.parametrize("name", NAMES)
def test_a_loop_of_the_page_runs(written, tmp_path, name):
    for library in ("torch", "transformers"):
        if re.search(rf"^(from|import) {library}\b", BLOCKS[name], re.MULTILINE) and not find_spec(library):
            pytest.skip(f"{library} is not installed")
    names = {"RUN": written[0], "VOCAB": 100, "OUT": str(tmp_path)}
    names |= {"ADDRESS": written[0].as_uri(), "CACHE": str(tmp_path)}
    exec(compile(BLOCKS[name], name, "exec"), names)
    if name == "A loop of your own":
        assert names["checkpoint"]["cursor"] == 203
        assert float(names["loss"].detach()) > 0
    if name == STORE:
        assert sum(len(batch.tokens) for batch in names["loader"]) == 203
    if name == "torch's DataLoader":
        assert len(list(names["data"])) == 25
    if name == "torchtitan":
        loader = names["PlannedLoader"](written[0], batch_rows=8, dp_rank=1, dp_world_size=2)
        inputs, labels = next(iter(loader))
        assert inputs["input"].shape == labels.shape == inputs["positions"].shape == (4, 16)
        loader.load_state_dict(loader.state_dict())
    if name == "datasets and JAX":
        assert names["state"]["cursor"] == 8
        assert len(list(names["rows"])) == 203


def test_every_block_of_the_page_is_run():
    assert set(BLOCKS) == set(NAMES)
    assert PAGE.count("```python") == len(NAMES)
