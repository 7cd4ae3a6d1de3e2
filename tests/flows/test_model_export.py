"""The model of a run, exported: opened by transformers as any other, with its tokenizer, its card and its receipt."""

import shutil

import pytest
import torch

from gristmill.corpus.errors import StoreError, TrainError
from gristmill.corpus.files import file_sha256, read_json
from gristmill.corpus.rundir import EXPORTS, RunDir
from gristmill.flows.export.export_run import export_run
from gristmill.flows.export.target import ExportOptions
from gristmill.tokenizer.text_tokenizer import TextTokenizer
from tests.gristmill.command_line import answer, call

FILES = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
FILES |= {"card.json", "README.md"}


@pytest.fixture
def exported(small_run, tmp_path):
    yield export_run(small_run, "dots1", tmp_path / "out"), tmp_path / "out"
    (small_run / EXPORTS).unlink()  # the run is shared


def test_the_sample_model_opens_with_its_tokenizer(exported, small_run):
    import huggingface_hub
    import transformers

    result, folder = exported
    assert result["parity"]["compared"]
    assert result["parity"]["largest_difference"] < 1e-5
    assert {file["path"] for file in result["files"]} == FILES
    assert all(file_sha256(folder / file["path"]) == file["sha256"] for file in result["files"])
    assert {path.name for path in folder.iterdir()} == {*FILES, "export.json"}
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ours = TextTokenizer(small_run / "tokenizer" / "tokenizer.json")
    ids = tokenizer("The state of the union").input_ids
    assert ids == ours.tokenizer.encode("The state of the union").ids
    assert (model.config.eos_token_id, model.generation_config.eos_token_id) == (ours.end_id, ours.end_id)
    assert model.config.pad_token_id == ours.pad_id
    assert model.generate(torch.tensor([ids]), max_new_tokens=3).shape[1] > len(ids)
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    assert (card.data.library_name, card.data.pipeline_tag) == ("transformers", "text-generation")
    assert "no weight missing" in card.text
    assert "state-of-the-union" not in card.text
    assert "## Bias, risks and known limits" in card.text
    assert "| speeches |" in card.text


def test_the_same_run_gives_the_same_bytes(exported, small_run, tmp_path):
    export_run(small_run, "dots1", tmp_path / "again")
    for path in (tmp_path / "again").iterdir():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes(), path.name


def test_what_the_target_lacks_is_refused_before_anything_is_written(small_run, tmp_path, capsys):
    status, out, err = call(capsys, "export", small_run, "--to", "qwen3moe", "--out", tmp_path / "out")
    assert (status, out) == (1, "")
    assert "trainer.model.score is sigmoid" in err
    assert "trainer.balance.bias" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [{"by": "source"}, {"columns": ("signals",)}, {"order": "plan"}])
def test_an_option_of_documents_is_refused(small_run, tmp_path, option):
    with pytest.raises(StoreError, match="a model has no documents and no rows"):
        export_run(small_run, "dots1", tmp_path / "out", ExportOptions(**option))


def test_a_run_without_training_or_card_is_refused(small_run, tmp_path, monkeypatch):
    has = RunDir.has
    for lacking, error, text in (("train", TrainError, "train` it first"), ("card", StoreError, "has no card")):
        monkeypatch.setattr(RunDir, "has", lambda run, name, lacking=lacking: name != lacking and has(run, name))
        with pytest.raises(error, match=text):
            export_run(small_run, "dots1", tmp_path / "out")


def test_the_command_says_whether_it_was_compared(small_run, tmp_path, capsys, monkeypatch):
    from gristmill.trainer.layouts import parity

    assert "opens it" in call(capsys, "export", small_run, "--to", "dots1", "--out", tmp_path / "a")[1]
    monkeypatch.setattr(parity, "find_spec", lambda _: None)
    assert "was not compared" in call(capsys, "export", small_run, "--to", "dots1", "--out", tmp_path / "b")[1]
    assert "was not compared" in (tmp_path / "b" / "README.md").read_text()
    assert read_json(tmp_path / "b" / "export.json")["parity"]["compared"] is False
    shutil.rmtree(tmp_path / "b")
    assert not answer(capsys, "export", small_run, "--to", "dots1", "--out", tmp_path / "b")["parity"]["compared"]
    (small_run / EXPORTS).unlink()


def test_a_model_that_differs_is_not_exported(small_run, tmp_path, monkeypatch):
    from gristmill.trainer.layouts import named_weights

    swiglu = named_weights._swiglu
    monkeypatch.setattr(named_weights, "_swiglu", lambda name, gate_up, down: swiglu(name, gate_up.flip(0), down))
    with pytest.raises(TrainError, match="another model: logits differ"):
        export_run(small_run, "dots1", tmp_path / "out")
    assert not (tmp_path / "out" / "export.json").exists()
