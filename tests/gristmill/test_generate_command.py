"""`gristmill generate`: a text as it grows, several side by side, and what ends one."""

import pytest

from gristmill.flows.inspect.text_stream import TextStream
from tests.gristmill.command_line import answer, call

PROMPT = ("--prompt", "The state of")


def test_a_text_is_gone_on_with(small_run, capsys):
    result = answer(capsys, "generate", small_run, *PROMPT, "--max-tokens", 12)
    (one,) = result["texts"]
    assert (one["prompt"], one["tokens"], one["ended"]) == ("The state of", 12, "length")
    assert result["step"] > 0
    assert call(capsys, "generate", small_run, *PROMPT, "--max-tokens", 12)[1] == one["text"] + "\n"
    more = answer(capsys, "generate", small_run, "--prompt", "We ", *PROMPT, "--max-tokens", 12)["texts"]
    assert more[1] == one
    shown = call(capsys, "generate", small_run, "--prompt", "We ", *PROMPT, "--max-tokens", 12)[1]
    assert shown == "".join(f"{text['prompt']}{text['text']}\n\n" for text in more)
    stop = one["text"][3:5]
    stopped = answer(capsys, "generate", small_run, *PROMPT, "--max-tokens", 12, "--stop", stop)["texts"][0]
    assert (stopped["text"], stopped["ended"]) == (one["text"][: one["text"].find(stop)], "stop")


def test_a_seed_draws(small_run, capsys):
    def drawn(seed: int) -> str:
        options = ("--temperature", 1.2, "--top-p", 0.95, "--seed", seed, "--max-tokens", 20)
        return answer(capsys, "generate", small_run, *PROMPT, *options)["texts"][0]["text"]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_a_text_ends_with_the_rows_of_the_training(small_run, capsys):
    one = answer(capsys, "generate", small_run, *PROMPT, "--max-tokens", 500)["texts"][0]
    assert one["ended"] in ("context", "end")
    assert one["tokens"] < 64


@pytest.mark.parametrize(("prompt", "text"), [("", "--prompt is empty"), ("word " * 99, "--prompt has")])
def test_a_prompt_that_the_model_cannot_read_is_one_sentence(small_run, capsys, prompt, text):
    status, out, err = call(capsys, "generate", small_run, "--prompt", prompt)
    assert (status, out) == (1, "")
    assert err.startswith(f"gristmill: {text}")


def test_a_run_that_was_not_trained_is_one_sentence(small_run, capsys, monkeypatch):
    from gristmill.corpus.rundir import RunDir

    monkeypatch.setattr(RunDir, "has", lambda *_: False)
    status, out, err = call(capsys, "generate", small_run, *PROMPT)
    assert (status, out) == (1, "")
    assert "`gristmill train` it first" in err


@pytest.mark.parametrize(
    ("tokens", "stops", "pieces", "text"),
    [
        ("abc", (), ["a", "b", "c"], "abc"),
        ("aSTOb", ("STOP",), ["a", "", "", "", "STOb"], "aSTOb"),
        ("aSTOPb", ("STOP", "OP"), ["a", "", "", "", ""], "a"),
        ("xxy", ("xy",), ["", "x", ""], "x"),
        ("aé日", (), ["a", "", "é", "", "", "日"], "aé日"),
        ("é日", ("日",), ["", "é", "", "", ""], "é"),
    ],
)
def test_pieces_are_whole_characters_and_no_part_of_a_stop(tokens, stops, pieces, text):
    stream = TextStream(lambda ids: bytes(ids).decode("utf-8", "replace"), b"> ", stops)
    found = []
    for token in tokens.encode():
        found.append(stream.push(token))
        if stream.stopped:
            break
    assert (found, stream.text) == (pieces, text)
    assert "".join(found) + stream.close() == text
