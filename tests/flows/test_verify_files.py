"""Every figure in every small file of a run is proved: one that is changed is named by verify, by file and by leaf."""

import json
import shutil

import pytest

from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import read_json
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.inspect.verify_files import lock_problems, receipt_problems
from gristmill.flows.pipeline.open_context import read_run
from tests.data_cards.mutations import figures

STAGES = ("documents", "signals", "language", "signatures", "mentions", "clusters", "decide", "tokenizer", "tokens")
STAGES += ("shards", "heldout", "plan", "card")


@pytest.fixture(scope="module")
def copied(small_run, small_home, tmp_path_factory):
    """A copy of the small run and its store; tests give back what they change."""
    home = tmp_path_factory.mktemp("copied") / "home"
    shutil.copytree(small_home, home)
    return home / small_run.relative_to(small_home)


@pytest.fixture
def changed(copied):
    """Write a file of the run anew, apart from the store's; the end of the test brings the old one back."""
    kept = {}

    def write(name, data):
        path = copied / name
        kept.setdefault(path, path.read_bytes() if path.exists() else None)
        path.unlink(missing_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())

    yield write
    for path, data in kept.items():
        path.unlink()
        if data is not None:
            path.write_bytes(data)


def failures(run):
    return {check["name"]: check["detail"] for check in verify_run(run)["checks"] if not check["ok"]}


@pytest.mark.parametrize("stage", STAGES)
def test_every_figure_of_every_receipt_is_named(copied, changed, stage):
    """All at once: each leaf is compared on its own, so that each must be named on its own."""
    name = f"manifests/{stage}.json"
    manifest = read_json(copied / name)
    assert receipt_problems(read_run(copied), stage) == []
    places = list(figures(manifest))
    wrong = json.loads(json.dumps(manifest), parse_int=lambda n: int(n) + 1, parse_float=lambda n: float(n) + 1)
    changed(name, json.dumps(wrong))
    found = [one for one in receipt_problems(read_run(copied), stage) if one.startswith(f"{name}: parts[")]
    assert len(found) == len(places) > 1
    assert all(": parts[" in one and "its receipt in the store says" in one for one in found)


ONE_FIGURE = {
    "manifests/decide.json": "receipts decide",
    "manifests/train.json": "card",
    "lock.json": "lock",
    "environment.json": "card",
    "shards/forum/index.json": "shards forum",
    "heldout/legal/index.json": "heldout legal",
    "heldout/web/state.json": "heldout web",
    "plan/plan.json": "plan",
    "tokenizer/tokenizer.json": "tokenizer",
    "card/rows/web.jsonl": "card",
    "card/croissant.json": "card",
    "card/card.json": "card",
    "card/funnel.svg": "card",
}

NAMED = {"manifests/train.json": "].rows is 40, the run says 41"}


@pytest.mark.parametrize("name", ONE_FIGURE)
def test_one_figure_of_any_file_is_found_and_the_file_named(copied, changed, name):
    text = (copied / name).read_text()
    place = max(place for place, sign in enumerate(text) if sign.isdigit())
    changed(name, text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :])
    found = failures(copied)
    assert ONE_FIGURE[name] in found
    assert NAMED.get(name, name.split("/")[-1].split(".")[0]) in str(found)


def test_the_recipe_and_the_stages_are_those_of_the_lock(copied, changed):
    assert lock_problems(read_run(copied)) == []
    text, stages = (copied / "recipe.toml").read_text(), (copied / "stages.json").read_text()
    changed("recipe.toml", text.replace("heldout = 0.05", "heldout = 0.06"))
    changed("stages.json", stages.replace('"version": "1"', '"version": "9"', 1))
    first, second = lock_problems(read_run(copied))
    assert first == "recipe.toml: shards.heldout is 0.06, its lock says 0.05"
    assert second.startswith("stages.json: ")
    changed("stages.json", stages.replace('"title": "', '"title": "no ', 1))
    changed("recipe.toml", text + "# a remark\n")
    assert failures(copied).keys() == {"card"}


def test_what_no_receipt_knows_is_found(copied, changed):
    shard = next((copied / "shards" / "web").glob("*.arrow"))
    changed("shards/web/data-00009-of-00009.arrow", shard.read_bytes())
    changed("manifests/more.json", (copied / "manifests" / "decide.json").read_text())
    found = failures(copied)
    assert found["shards web"] == "shards/web/data-00009-of-00009.arrow is in no receipt"
    assert 'manifests/more.json: stage is "decide", its receipt in the store says "more"' in found["receipts more"]


@pytest.mark.parametrize("name", ["manifests/tokens.json", "plan/checkpoints.npy", "shards/web/index.json"])
def test_a_file_of_rubbish_is_a_failure_and_no_traceback(copied, changed, name):
    changed(name, b"\x00{")
    assert failures(copied)
    changed("lock.json", b"\x00{")
    with pytest.raises(StoreError, match=r"lock\.json is damaged"):
        verify_run(copied)
