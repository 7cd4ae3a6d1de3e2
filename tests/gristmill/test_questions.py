"""What-if, sweep, rank, review and takedown as a user calls them."""

import shutil

import pytest

from gristmill.cli import main
from tests.gristmill.command_line import answer, call


def test_whatif(capsys, small_run):
    result = answer(capsys, "whatif", small_run, "--set", "words.at_least=80")
    assert result["after"]["documents_kept"] < result["before"]["documents_kept"]
    assert "what if" in call(capsys, "whatif", small_run, "--set", "words.at_least=80")[1]
    assert answer(capsys, "whatif", small_run, "--diff", "length", "c4")["flipped"]


def test_mix(capsys, small_run):
    assert answer(capsys, "mix", small_run, "--set", "curriculum.0.shares.web=0.2")["feasible"]
    status, out, _ = call(capsys, "mix", small_run, "--set", "mixing.caps.max_epochs=0.01")
    assert status == 1
    assert "tokens by phase" in out


def test_whatif_with_an_unknown_key(capsys, small_run):
    status, out, err = call(capsys, "whatif", small_run, "--set", "wrods.at_least=80")
    assert status == 1
    assert out == ""
    assert "words" in err


def test_sweep(capsys, small_run, tmp_path):
    plot = tmp_path / "sweep.svg"
    arguments = ["sweep", small_run, "words.at_least", "--from", 0, "--to", 200, "--steps", 5, "--plot", plot]
    result = answer(capsys, *arguments)
    assert result["kept_documents"] == sorted(result["kept_documents"], reverse=True)
    assert plot.read_text().startswith("<svg")
    assert "documents kept" in call(capsys, *arguments)[1]


def test_rank(capsys, small_run):
    result = answer(capsys, "rank", small_run, "--better", "legal", "--worse", "web")
    assert len(result["ranking"]) > 20
    assert "signal" in call(capsys, "rank", small_run, "--better", "legal", "--worse", "web")[1]
    assert "unknown source or domain 'legl'" in call(capsys, "rank", small_run, "--better", "legl", "--worse", "web")[2]


def test_review_state(capsys, small_run):
    state = answer(capsys, "review", small_run, "--margin", 0.2)
    assert state["queue"] > 0
    assert state["decided"] == 0


def test_takedown(capsys, small_run, small_home, tmp_path, monkeypatch):
    home = tmp_path / "copy"
    shutil.copytree(small_home, home)
    monkeypatch.setenv("GRISTMILL_HOME", str(home))
    run = home / small_run.relative_to(small_home)
    ids = tmp_path / "ids.txt"
    ids.write_text("sotu/2016_barack_obama_d\n")
    result = answer(capsys, "takedown", run, "--ids", ids)
    assert len(result["removed"]) == 1
    assert result["left"] == []
    assert "unknown document" in call(capsys, "takedown", run, "--ids", ids)[2]
    status, _, err = call(capsys, "run", home / "small.toml", "--direct")
    assert status == 1
    assert "a run would bring them back" in err


NONE = ["nan", "inf", "-inf", "-1", "1e400", "1" + "0" * 30, "", "x", "0x10", "٣"]  # no number that an option takes
COUNT = [*NONE, "0.5", "1e3", "1_0"]
OPTIONS = [  # command, option with a number, further values that it refuses
    (("trace",), "--step", [*COUNT, "0"]),
    (("samples", "--kept"), "-n", [*COUNT, "0"]),
    (("samples", "--kept"), "--seed", COUNT),
    (("diff", "."), "--samples", [*COUNT, "1001"]),
    (("review",), "--port", [*COUNT, "99999", "65536"]),
    (("review", "--json"), "--margin", set(NONE) - {"٣"}),
    (("sweep", "words.at_least", "--to=3"), "--from", set(NONE) - {"-1", "٣", "1" + "0" * 30}),
    (("sweep", "words.at_least", "--from=3"), "--to", set(NONE) - {"-1", "٣", "1" + "0" * 30}),
    (("sweep", "words.at_least", "--from=3", "--to=9"), "--steps", [*COUNT, "0", "1", "1001"]),
    (("verify", "--replay"), "--interval", COUNT),
    (("verify", "--replay"), "--seed", COUNT),
    (("train", "--set=learning_rate=1"), "--back-to", COUNT),
    (("tune",), "--workers", [*COUNT, "99999"]),
    (("rebuild",), "--workers", [*COUNT, "99999"]),
    (("run",), "--workers", [*COUNT, "99999"]),
    (("warmup",), "--workers", [*COUNT, "99999"]),
    (("gc",), "--keep-runs", COUNT),
    (("gc",), "--keep-days", set(NONE) - {"0.5", "1_0", "1e3", "٣"}),
    (("generate", "--prompt=x"), "--max-tokens", [*COUNT, "0"]),
    (("generate", "--prompt=x"), "--seed", COUNT),
    (("generate", "--prompt=x"), "--temperature", [*(set(NONE) - {"٣"}), "101"]),
    (("generate", "--prompt=x"), "--top-p", [*(set(NONE) - {"٣"}), "1.1"]),
]
ODD = [(command, option, value) for command, option, values in OPTIONS for value in sorted(values)]


@pytest.mark.parametrize(("command", "option", "value"), ODD, ids=lambda one: one if isinstance(one, str) else one[0])
def test_an_option_refuses_what_is_no_number_of_its_range(capsys, tmp_path, command, option, value):
    """In one sentence, before the run is opened: none is needed."""
    name, *more = command
    target = [] if name in ("gc", "warmup") else [str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        main([name, *target, *more, f"{option}={value}"])
    out, err = capsys.readouterr()
    assert ended.value.code in (1, 2)
    assert out == ""
    told = " ".join(err.replace("│", " ").split())
    assert f"{option}" in told
    assert f"{value!r} is no" in told
    assert "Traceback" not in err


def test_every_option_that_takes_a_number_is_among_them():
    """A new one is refused here until it says which numbers it takes."""
    from gristmill.app import app

    numbers = set()
    for name in app:
        if not name.startswith("-"):
            for argument in app[name].assemble_argument_collection():
                if argument.hint in (int, float) or argument.hint in (int | None, float | None):
                    numbers.add((name, argument.names[-1]))
    assert numbers == {(command[0], {"-n": "-n"}.get(option, option)) for command, option, _ in OPTIONS}


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400", "x", "", "true", "[1]"])
def test_whatif_refuses_a_bound_that_is_no_number(capsys, small_run, value):
    status, out, err = call(capsys, "whatif", small_run, "--set", f"words.at_least={value}")
    assert (status, out) == (1, "")
    assert err.startswith("gristmill: decide.rules.words.at_least: ")


def test_a_plot_that_cannot_be_written_is_named(capsys, small_run, tmp_path):
    (tmp_path / "file").touch()
    for plot in (tmp_path, tmp_path / "file" / "plot.svg"):
        status, _, err = call(capsys, "sweep", small_run, "words.at_least", "--from", 0, "--to", 9, "--plot", plot)
        assert status == 1
        assert err.startswith(f"gristmill: --plot {plot}: ")
